# One image with the three programs. The command says which one runs.
#
#   docker build --build-arg VERSION=$(git describe --tags --always) \
#     --build-arg COMMIT=$(git rev-parse HEAD) -t atlas-provisioner .
#   docker run --rm atlas-provisioner                            # the worker
#   docker run --rm --entrypoint /starter atlas-provisioner --help

# The builder runs on the machine's own architecture and cross-compiles, which
# is as fast without cgo. Emulating the target would be many times slower.
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src

# The modules come first, so that a change of code alone downloads nothing.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod \
    go mod download

COPY . .
# BuildKit sets these to the platform that is asked for. Without it they are
# empty, which means this machine's own platform.
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
ARG COMMIT=
# GOTOOLCHAIN=local: the compiler is that of the pinned image. Go never fetches
# another one because go.mod asks for it. -buildvcs=false: .git is not sent to
# the build, so VERSION names the version.
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH GOTOOLCHAIN=local \
    go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X github.com/atlas-provisioner/atlas-provisioner/internal/version.Version=$VERSION \
        -X github.com/atlas-provisioner/atlas-provisioner/internal/version.Commit=$COMMIT" \
      -o /out/ ./cmd/worker ./cmd/starter ./cmd/atlas-sim

# The image has no shell and no package manager, only CA certificates, time zones
# and a user that is not root. This tag moves with Debian's fixes and has no
# versioned form. To pin it, add the digest that your registry scanner approved:
#   gcr.io/distroless/static-debian12:nonroot@sha256:…
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/worker /out/starter /out/atlas-sim /
USER nonroot:nonroot
# These are for the worker. Kubernetes has probes of its own and ignores them.
ENV WORKER_HTTP_ADDRESS=:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=2s --retries=6 \
  CMD ["/worker", "healthcheck"]
ENTRYPOINT ["/worker"]
