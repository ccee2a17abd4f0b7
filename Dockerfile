# One image with the three programs; which one runs is up to the command.
#
#   docker build --build-arg VERSION=$(git describe --tags --always) \
#     --build-arg COMMIT=$(git rev-parse HEAD) -t atlas-provisioner .
#   docker run --rm atlas-provisioner                            # the worker
#   docker run --rm --entrypoint /starter atlas-provisioner --help

# The builder runs on the machine's own architecture and cross-compiles, which
# costs nothing without cgo; emulating the target would be many times slower.
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src

# Modules first: a change of code alone then downloads nothing.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod \
    go mod download

COPY . .
# Set by the builder for the platform that is asked for; empty without BuildKit,
# which means this machine's own.
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
ARG COMMIT=
# GOTOOLCHAIN=local: the compiler is the pinned image's, never one fetched because
# go.mod asks for more. -buildvcs=false: .git is not sent here, VERSION says it.
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH GOTOOLCHAIN=local \
    go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X github.com/atlas-provisioner/atlas-provisioner/internal/version.Version=$VERSION \
        -X github.com/atlas-provisioner/atlas-provisioner/internal/version.Commit=$COMMIT" \
      -o /out/ ./cmd/worker ./cmd/starter ./cmd/atlas-sim

# No shell, no package manager, nothing but CA certificates, time zones and a
# user that is not root. This tag moves with Debian's fixes and has no versioned
# form; to pin it further, add the digest that your registry scanner approved:
#   gcr.io/distroless/static-debian12:nonroot@sha256:…
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/worker /out/starter /out/atlas-sim /
USER nonroot:nonroot
# For the worker; Kubernetes has probes of its own and ignores it.
ENV WORKER_HTTP_ADDRESS=:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=2s --retries=6 \
  CMD ["/worker", "healthcheck"]
ENTRYPOINT ["/worker"]
