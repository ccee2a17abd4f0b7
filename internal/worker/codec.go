package worker

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.uber.org/zap"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
)

// maxCodecBody bounds what the codec endpoint reads: a page of history, whose
// payloads Temporal keeps under 2 MiB each.
const maxCodecBody = 16 << 20

// CodecEndpoint says who may have payloads encoded and decoded at /codec/encode
// and /codec/decode of the worker's HTTP port.
// https://docs.temporal.io/production-deployment/data-encryption
type CodecEndpoint struct {
	// Origins is TEMPORAL_CODEC_ORIGINS: of the Web UIs whose pages may call it.
	Origins []string
	// Token is TEMPORAL_CODEC_TOKEN, which every caller must then send as its
	// bearer token. Without it, a caller is let in whom Temporal lets read the
	// namespace.
	Token string
}

func (e CodecEndpoint) enabled() bool { return len(e.Origins) > 0 || e.Token != "" }

// readCodec reads the keys and the endpoint's settings.
func readCodec(e env.Env, c *Config) error {
	var mistakes []error
	wrong := func(name, format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf(name+" "+format, args...))
	}
	var err error
	if c.Codec, err = codec.FromEnv(e.LookupEnv); err != nil {
		mistakes = append(mistakes, err)
	}
	for origin := range strings.SplitSeq(e.Get(envCodecOrigins, ""), ",") {
		origin = strings.TrimSpace(origin)
		if origin == "" {
			continue
		}
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || origin != u.Scheme+"://"+u.Host {
			wrong(envCodecOrigins, "must hold origins such as https://temporal.example.com, with commas between them, got %q", origin)
			continue
		}
		c.CodecEndpoint.Origins = append(c.CodecEndpoint.Origins, origin)
	}
	if c.CodecEndpoint.Token = e.Get(envCodecToken, ""); strings.ContainsAny(c.CodecEndpoint.Token, " \t\r\n") {
		wrong(envCodecToken, "holds white space: set the bare value")
	}
	for _, name := range []string{envCodecOrigins, envCodecToken} {
		switch {
		case e.Get(name, "") == "":
		case c.HTTPAddress == "":
			wrong(name, "is set without %s, where the codec endpoint would be", envHTTPAddress)
		case err == nil && !c.Codec.Encrypts():
			wrong(name, "is set without %s or %s: there is nothing to decode", codec.EnvKeys, codec.EnvKeysFile)
		}
	}
	return errors.Join(mistakes...)
}

// codecHandler serves /codec/; nil where it is not turned on.
type codecHandler struct {
	CodecEndpoint
	namespace string
	next      http.Handler
	asCaller  client.Client // holds no credentials of its own
}

// newCodecHandler asks Temporal what it makes of a caller without credentials:
// whoever it lets in, the endpoint does.
func newCodecHandler(ctx context.Context, config Config, logger *zap.Logger) (*codecHandler, error) {
	if !config.CodecEndpoint.enabled() {
		return nil, nil
	}
	h := &codecHandler{
		CodecEndpoint: config.CodecEndpoint, namespace: config.Temporal.Namespace,
		next: converter.NewPayloadCodecHTTPHandler(config.Codec),
	}
	if h.Token != "" {
		return h, nil
	}
	options := config.Temporal
	options.Credentials, options.HeadersProvider = nil, callersHeaders{options.HeadersProvider}
	var err error
	if h.asCaller, err = client.NewLazyClient(options); err != nil {
		return nil, fmt.Errorf("the codec endpoint cannot ask Temporal who may read: %w", err)
	}
	status, err := h.mayRead(ctx, http.Header{})
	certificate := config.Temporal.ConnectionOptions.TLS != nil &&
		(len(config.Temporal.ConnectionOptions.TLS.Certificates) > 0 || config.Temporal.ConnectionOptions.TLS.GetClientCertificate != nil)
	switch {
	case err == nil && certificate:
		h.close()
		return nil, fmt.Errorf("the codec endpoint would let in everybody: Temporal goes by this worker's client certificate, whoever calls. Set %s", envCodecToken)
	case err == nil:
		logger.Warn("The codec endpoint decodes for everybody who reaches it: this Temporal asks nobody for credentials. Set " + envCodecToken + ", or keep the port to yourself")
	case status != http.StatusForbidden:
		h.close()
		return nil, fmt.Errorf("the codec endpoint cannot ask Temporal who may read: %w", err)
	}
	return h, nil
}

func (h *codecHandler) close() {
	if h != nil && h.asCaller != nil {
		h.asCaller.Close()
	}
}

func (h *codecHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		if !slices.Contains(h.Origins, origin) {
			http.Error(w, fmt.Sprintf("the origin %q is not one of %s", origin, envCodecOrigins), http.StatusForbidden)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Access-Control-Allow-Methods", http.MethodPost)
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, Authorization-Extras, Content-Type, X-Namespace")
	}
	switch r.Method {
	case http.MethodOptions:
		w.WriteHeader(http.StatusNoContent)
		return
	case http.MethodPost:
	default:
		w.Header().Set("Allow", "OPTIONS, POST")
		http.Error(w, "POST payloads to /codec/encode or /codec/decode", http.StatusMethodNotAllowed)
		return
	}
	// The temporal program leaves it empty for the default namespace.
	if got := r.Header.Get("X-Namespace"); got != "" && got != h.namespace {
		http.Error(w, fmt.Sprintf("X-Namespace is %q, and this worker is of %q", got, h.namespace), http.StatusForbidden)
		return
	}
	if status, err := h.permit(r); err != nil {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		http.Error(w, err.Error(), status)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxCodecBody)
	h.next.ServeHTTP(w, r)
}

// permit is nil for a caller who may read payloads.
func (h *codecHandler) permit(r *http.Request) (status int, err error) {
	if h.Token == "" {
		return h.mayRead(r.Context(), r.Header)
	}
	want := "Bearer " + h.Token
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) != 1 {
		return http.StatusUnauthorized, fmt.Errorf("send the token of %s as Authorization: Bearer", envCodecToken)
	}
	return 0, nil
}

// mayRead asks Temporal whether the caller may read the namespace.
func (h *codecHandler) mayRead(ctx context.Context, caller http.Header) (status int, err error) {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, callerKey{}, caller), 5*time.Second)
	defer cancel()
	_, err = h.asCaller.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: h.namespace})
	var (
		unavailable *serviceerror.Unavailable
		busy        *serviceerror.ResourceExhausted
		late        *serviceerror.DeadlineExceeded
		gone        *serviceerror.Canceled
	)
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &unavailable), errors.As(err, &busy), errors.As(err, &late), errors.As(err, &gone):
		return http.StatusServiceUnavailable, fmt.Errorf("no word from Temporal on whether you may read namespace %q: %w", h.namespace, err)
	}
	return http.StatusForbidden, fmt.Errorf("you may not read namespace %q, by Temporal: %w", h.namespace, err)
}

type callerKey struct{}

// callersHeaders puts the caller's credentials in place of the worker's own.
type callersHeaders struct {
	own interface {
		GetHeaders(context.Context) (map[string]string, error)
	} // nil for none
}

func (c callersHeaders) GetHeaders(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	if c.own != nil {
		own, err := c.own.GetHeaders(ctx)
		if err != nil {
			return nil, err
		}
		maps.Copy(out, own)
	}
	caller, _ := ctx.Value(callerKey{}).(http.Header)
	// What Temporal's authorization reads.
	for _, name := range []string{"authorization", "authorization-extras"} {
		delete(out, name)
		if v := caller.Get(name); v != "" {
			out[name] = v
		}
	}
	return out, nil
}
