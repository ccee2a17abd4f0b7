// Package codecserver encodes and decodes payloads for Temporal's Web UI and CLI, at /codec/encode and /codec/decode of
// the worker's HTTP port.
//
// https://docs.temporal.io/production-deployment/data-encryption
package codecserver

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.uber.org/zap"
)

// maxBody bounds a request. Temporal keeps each payload under 2 MiB, and the Web UI asks for a page of a history.
const maxBody = 16 << 20

// Options are what a server needs.
type Options struct {
	Config Config
	// Temporal is the worker's connection. The server connects with its own, without the worker's credentials.
	Temporal client.Options
	Codec    converter.PayloadCodec
	Logger   *zap.Logger
}

// Server is an [http.Handler] for /codec/. It must be closed.
type Server struct {
	config    Config
	namespace string
	codec     http.Handler
	temporal  client.Client // sends the caller's credentials; nil where a token decides
}

// New makes a server. Without a token, the server lets in everybody whom Temporal lets read the namespace. New asks
// Temporal what it answers to a caller without credentials: a Temporal that checks none makes New warn, and one that
// goes by the worker's client certificate is an error.
func New(ctx context.Context, o Options) (*Server, error) {
	s := &Server{
		config: o.Config, namespace: o.Temporal.Namespace, codec: converter.NewPayloadCodecHTTPHandler(o.Codec),
	}
	if s.config.Token != "" {
		return s, nil
	}
	connection := o.Temporal
	connection.Credentials = nil
	connection.HeadersProvider = callerHeaders{worker: o.Temporal.HeadersProvider}
	var err error
	if s.temporal, err = client.NewLazyClient(connection); err != nil {
		return nil, fmt.Errorf("the codec endpoint cannot ask Temporal who may read: %w", err)
	}
	status, err := s.mayRead(ctx, http.Header{})
	switch {
	case err == nil && hasClientCertificate(connection):
		s.Close()
		return nil, errors.New("the codec endpoint would let in everybody: " +
			"Temporal goes by this worker's client certificate, whoever calls. Set " + EnvToken)
	case err == nil:
		o.Logger.Warn("The codec endpoint decodes for everybody who reaches it: " +
			"this Temporal asks nobody for credentials. Set " + EnvToken + ", or keep the port to yourself")
	case status != http.StatusForbidden:
		s.Close()
		return nil, fmt.Errorf("the codec endpoint cannot ask Temporal who may read: %w", err)
	}
	return s, nil
}

func hasClientCertificate(o client.Options) bool {
	tls := o.ConnectionOptions.TLS
	return tls != nil && (len(tls.Certificates) > 0 || tls.GetClientCertificate != nil)
}

// Close ends the connection to Temporal.
func (s *Server) Close() {
	if s.temporal != nil {
		s.temporal.Close()
	}
}

// ServeHTTP answers the Web UI of a configured origin, and programs that send no origin.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		if !slices.Contains(s.config.Origins, origin) {
			http.Error(w, fmt.Sprintf("the origin %q is not one of %s", origin, EnvOrigins), http.StatusForbidden)
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
	// The temporal program leaves the header empty for the default namespace.
	if got := r.Header.Get("X-Namespace"); got != "" && got != s.namespace {
		http.Error(w, fmt.Sprintf("X-Namespace is %q, and this worker is of %q", got, s.namespace),
			http.StatusForbidden)
		return
	}
	if status, err := s.authorize(r); err != nil {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		http.Error(w, err.Error(), status)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	s.codec.ServeHTTP(w, r)
}

// authorize returns an error, and the status to answer, for a caller who may not read payloads.
func (s *Server) authorize(r *http.Request) (status int, err error) {
	if s.config.Token == "" {
		return s.mayRead(r.Context(), r.Header)
	}
	want := "Bearer " + s.config.Token
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) != 1 {
		return http.StatusUnauthorized, fmt.Errorf("send the token of %s as Authorization: Bearer", EnvToken)
	}
	return 0, nil
}

// mayRead asks Temporal whether a caller with these headers may read the namespace.
func (s *Server) mayRead(ctx context.Context, caller http.Header) (status int, err error) {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, callerKey{}, caller), 5*time.Second)
	defer cancel()
	_, err = s.temporal.WorkflowService().DescribeNamespace(ctx,
		&workflowservice.DescribeNamespaceRequest{Namespace: s.namespace})
	var (
		unavailable *serviceerror.Unavailable
		busy        *serviceerror.ResourceExhausted
		late        *serviceerror.DeadlineExceeded
		canceled    *serviceerror.Canceled
	)
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &unavailable), errors.As(err, &busy), errors.As(err, &late), errors.As(err, &canceled):
		return http.StatusServiceUnavailable,
			fmt.Errorf("no word from Temporal on whether you may read namespace %q: %w", s.namespace, err)
	}
	return http.StatusForbidden, fmt.Errorf("you may not read namespace %q, by Temporal: %w", s.namespace, err)
}
