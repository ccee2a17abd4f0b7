package worker

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

const webUI = "https://temporal.example.com"

// payloadKey is a key with its id, in the form of the environment variable.
func payloadKey(id string) string {
	return id + ":" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(id[:1]), codec.KeySize))
}

// encrypted is a payload encrypted with the key of the id, in the form that the endpoint accepts.
func encrypted(t *testing.T, id, text string) string {
	t.Helper()
	out, err := withKey(t, id).Encode([]*commonpb.Payload{{
		Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(text),
	}})
	require.NoError(t, err)
	return payloadsJSON(t, out...)
}

func payloadsJSON(t *testing.T, payloads ...*commonpb.Payload) string {
	t.Helper()
	b, err := protojson.Marshal(&commonpb.Payloads{Payloads: payloads})
	require.NoError(t, err)
	return string(b)
}

// encrypting is a client that encrypts with a codec.
func (s *stack) encrypting(c codec.Codec) *provisioner.Client {
	s.t.Helper()
	o := client.Options{HostPort: s.on.Address(), Logger: testenv.Quiet()}
	c.Configure(&o)
	temporal, err := client.DialContext(s.ctx(), o)
	require.NoError(s.t, err)
	s.t.Cleanup(temporal.Close)
	return provisioner.New(temporal, provisioner.Options{TaskQueue: s.queue, DataConverter: o.DataConverter})
}

// call sends a request to the codec endpoint. The headers are pairs of name and value.
func (p *program) call(method, path, body string, headers ...string) (*http.Response, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	require.NoError(p.t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return resp, string(answer)
}

func decoded(t *testing.T, body string) string {
	t.Helper()
	var p commonpb.Payloads
	require.NoError(t, protojson.Unmarshal([]byte(body), &p), "%s", body)
	require.Len(t, p.GetPayloads(), 1)
	return string(p.GetPayloads()[0].GetData())
}

// A caller that sends the token gets an answer, if it comes from one of the configured origins.
func TestCodecEndpointWithToken(t *testing.T) {
	t.Parallel()
	one := payloadKey("one")
	s := setup(t, atlassim.Config{}, "TEMPORAL_PAYLOAD_KEYS="+one,
		"TEMPORAL_CODEC_ORIGINS="+webUI+", http://localhost:8233", "TEMPORAL_CODEC_TOKEN=token-hush")
	p := s.run()
	body := encrypted(t, "one", `"orders"`)
	const tokenNeeded = "send the token of TEMPORAL_CODEC_TOKEN as Authorization: Bearer\n"
	for _, test := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		want                     string // "" for the payload, decoded
	}{
		{"from the Web UI", "POST", "/codec/decode", body,
			[]string{"X-Namespace", "default", "Authorization", "Bearer token-hush", "Origin", webUI}, 200, ""},
		{"from the other Web UI", "POST", "/codec/decode", body,
			[]string{"X-Namespace", "default", "Authorization", "Bearer token-hush", "Origin",
				"http://localhost:8233"}, 200, ""},
		{"from a terminal", "POST", "/codec/decode", body,
			[]string{"X-Namespace", "default", "Authorization", "Bearer token-hush"}, 200, ""},
		{"no token", "POST", "/codec/decode", body, []string{"X-Namespace", "default"}, 401, tokenNeeded},
		{"wrong token", "POST", "/codec/decode", body,
			[]string{"X-Namespace", "default", "Authorization", "Bearer token-hus"}, 401, tokenNeeded},
		{"bare token", "POST", "/codec/encode", body,
			[]string{"X-Namespace", "default", "Authorization", "token-hush"}, 401, tokenNeeded},
		{"wrong origin", "POST", "/codec/decode", body,
			[]string{"X-Namespace", "default", "Authorization", "Bearer token-hush", "Origin",
				"https://evil.example.com"}, 403,
			"the origin \"https://evil.example.com\" is not one of TEMPORAL_CODEC_ORIGINS\n"},
		{"wrong namespace", "POST", "/codec/decode", body,
			[]string{"X-Namespace", "other", "Authorization", "Bearer token-hush"}, 403,
			"X-Namespace is \"other\", and this worker is of \"default\"\n"},
		{"no namespace", "POST", "/codec/decode", body, []string{"Authorization", "Bearer token-hush"}, 200, ""},
		{"GET", "GET", "/codec/decode", "", nil, 405, "POST payloads to /codec/encode or /codec/decode\n"},
		{"elsewhere", "POST", "/codec/other", body,
			[]string{"X-Namespace", "default", "Authorization", "Bearer token-hush"}, 404, "404 page not found\n"},
		{"another key", "POST", "/codec/decode", encrypted(t, "two", "x"),
			[]string{"X-Namespace", "default", "Authorization", "Bearer token-hush"}, 400,
			"a payload is encrypted with the key \"two\", which is not configured: add it to " +
				"TEMPORAL_PAYLOAD_KEYS or the file that TEMPORAL_PAYLOAD_KEYS_FILE names\n"},
		{"too much", "POST", "/codec/decode", strings.Repeat(" ", 16<<20+1),
			[]string{"X-Namespace", "default", "Authorization", "Bearer token-hush"}, 400,
			"http: request body too large\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp, answer := p.call(test.method, test.path, test.body, test.headers...)
			require.Equal(t, test.status, resp.StatusCode, answer)
			if test.want == "" {
				answer = decoded(t, answer)
				test.want = `"orders"`
			}
			require.Equal(t, test.want, answer)
			allowed := ""
			if origin := resp.Request.Header.Get("Origin"); origin == webUI || origin == "http://localhost:8233" {
				allowed = origin
			}
			require.Equal(t, allowed, resp.Header.Get("Access-Control-Allow-Origin"))
		})
	}

	resp, answer := p.call("POST", "/codec/encode", payloadsJSON(t, &commonpb.Payload{Data: []byte("plain")}),
		"X-Namespace", "default", "Authorization", "Bearer token-hush")
	require.Equal(t, 200, resp.StatusCode)
	require.NotContains(t, answer, base64.StdEncoding.EncodeToString([]byte("plain")))
	_, answer = p.call("POST", "/codec/decode", answer, "X-Namespace", "default", "Authorization", "Bearer token-hush")
	require.Equal(t, "plain", decoded(t, answer))

	// Temporal's own program calls the endpoint like this.
	_, err := s.encrypting(withKey(t, "one")).Start(s.ctx(), s.request())
	require.NoError(t, err)
	var cluster map[string]any
	out, err := exec.Command(s.on.CLI, "workflow", "result", "--address", s.on.Address(),
		"--workflow-id", contract.ClusterWorkflowID(group, s.name),
		"--output", "json", "--codec-endpoint", p.url+"/codec", "--codec-auth", "Bearer token-hush").Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &cluster))
	require.Equal(t, s.name, cluster["result"].(map[string]any)["name"], "%s", out)

	p.end()
	require.NotContains(t, p.logs.String(), "hush")
	require.NotContains(t, p.logs.String(), strings.TrimPrefix(one, "one:"))
}

// A browser sends a preflight request first, without credentials.
func TestCodecEndpointPreflight(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{}, "TEMPORAL_PAYLOAD_KEYS="+payloadKey("one"), "TEMPORAL_CODEC_ORIGINS="+webUI,
		"TEMPORAL_CODEC_TOKEN=token-hush")
	p := s.run()
	resp, _ := p.call("OPTIONS", "/codec/decode", "",
		"Origin", webUI, "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "authorization,content-type,x-namespace")
	require.Equal(t, 204, resp.StatusCode)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": webUI, "Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods": "POST",
		"Access-Control-Allow-Headers": "Authorization, Authorization-Extras, Content-Type, X-Namespace",
		"Vary":                         "Origin",
	} {
		require.Equal(t, want, resp.Header.Get(name), name)
	}
	resp, _ = p.call("OPTIONS", "/codec/decode", "", "Origin", "https://evil.example.com",
		"Access-Control-Request-Method", "POST")
	require.Equal(t, 403, resp.StatusCode)
	require.Empty(t, resp.Header.Get("Access-Control-Allow-Origin"))
}

// The endpoint is off where only keys are configured.
func TestCodecEndpointOff(t *testing.T) {
	t.Parallel()
	p := setup(t, atlassim.Config{}, "TEMPORAL_PAYLOAD_KEYS="+payloadKey("one")).run()
	for _, path := range []string{"/codec/decode", "/codec/encode"} {
		resp, answer := p.call("POST", path, encrypted(t, "one", "x"), "X-Namespace", "default")
		require.Equal(t, 404, resp.StatusCode, answer)
	}
}

// authorizingTemporal is a proxy in front of the dev server that checks credentials: the worker's permit everything,
// the reader's permit DescribeNamespace.
func authorizingTemporal(t *testing.T, open bool, options ...grpc.ServerOption) (address string, stop func()) {
	t.Helper()
	forward, err := proxy.NewWorkflowServiceProxyServer(proxy.WorkflowServiceProxyOptions{
		Client: testenv.Shared().Client().WorkflowService(),
	})
	require.NoError(t, err)
	g := grpc.NewServer(append(options, grpc.UnaryInterceptor(
		func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			_, describes := req.(*workflowservice.DescribeNamespaceRequest)
			switch who := strings.Join(md.Get("authorization"), " and "); {
			case open, who == "Bearer worker-hush",
				describes && who == "Bearer reader" && strings.Join(md.Get("authorization-extras"), " and ") == "extra":
				return handler(ctx, req)
			}
			return nil, serviceerror.ToStatus(serviceerror.NewPermissionDenied("Request unauthorized.", "")).Err()
		}))...)
	workflowservice.RegisterWorkflowServiceServer(g, forward)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = g.Serve(listener) }()
	t.Cleanup(g.Stop)
	return listener.Addr().String(), g.Stop
}

// Without a token, Temporal decides who may call, by the caller's credentials and never by the worker's own.
func TestCodecEndpointAsksTemporal(t *testing.T) {
	t.Parallel()
	const denied = "you may not read namespace \"default\", by Temporal: Request unauthorized.\n"
	for name, own := range map[string][]string{
		"API key":  {"TEMPORAL_API_KEY=worker-hush", "TEMPORAL_TLS=false"},
		"metadata": {"TEMPORAL_GRPC_META_AUTHORIZATION=Bearer worker-hush", "TEMPORAL_GRPC_META_OTHER=kept"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, stop := authorizingTemporal(t, false)
			one := payloadKey("one")
			s := setup(t, atlassim.Config{},
				append(own, "TEMPORAL_ADDRESS="+address, "TEMPORAL_PAYLOAD_KEYS="+one,
					"TEMPORAL_CODEC_ORIGINS="+webUI)...)
			p := s.run()
			body := encrypted(t, "one", "x")
			for _, test := range []struct {
				headers []string
				status  int
				want    string
			}{
				{[]string{"Authorization", "Bearer reader", "Authorization-Extras", "extra"}, 200, ""},
				{[]string{"Authorization", "Bearer reader"}, 403, denied},
				{[]string{"Authorization", "Bearer stranger"}, 403, denied},
				{nil, 403, denied},
			} {
				for _, path := range []string{"/codec/decode", "/codec/encode"} {
					resp, answer := p.call("POST", path, body,
						append(test.headers, "X-Namespace", "default", "Origin", webUI)...)
					require.Equal(t, test.status, resp.StatusCode, answer)
					if test.want != "" {
						require.Equal(t, test.want, answer)
					}
				}
			}
			require.NotContains(t, p.logs.String(), "everybody")
			stop()
			resp, answer := p.call("POST", "/codec/decode", body, "X-Namespace", "default",
				"Authorization", "Bearer reader", "Authorization-Extras", "extra")
			require.Equal(t, 503, resp.StatusCode)
			require.Contains(t, answer, "no word from Temporal on whether you may read namespace \"default\": ")
			require.NotContains(t, p.logs.String(), "hush")
		})
	}
}

// Where Temporal checks no credentials, as the dev server, the endpoint checks none either, and the log warns.
func TestCodecEndpointOnAnOpenServer(t *testing.T) {
	t.Parallel()
	one := payloadKey("one")
	p := setup(t, atlassim.Config{}, "TEMPORAL_PAYLOAD_KEYS="+one, "TEMPORAL_CODEC_ORIGINS="+webUI).run()
	require.Equal(t, map[string]any{
		"level": "warn",
		"msg": "The codec endpoint decodes for everybody who reaches it: this Temporal asks nobody for " +
			"credentials. Set TEMPORAL_CODEC_TOKEN, or keep the port to yourself",
	}, p.logs.lines(t)[0])
	resp, answer := p.call("POST", "/codec/decode", encrypted(t, "one", "x"), "X-Namespace", "default", "Origin", webUI)
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "x", decoded(t, answer))
}

// Where Temporal goes by the worker's client certificate, it cannot tell callers apart, so the endpoint is refused.
func TestCodecEndpointBehindACertificate(t *testing.T) {
	t.Parallel()
	model := httptest.NewUnstartedServer(nil)
	model.StartTLS()
	certificate := model.TLS.Certificates[0]
	model.Close()
	private, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	require.NoError(t, err)
	folder := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"cert": {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}, "key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600))
	}
	// The server accepts any client certificate, so that one certificate serves both sides.
	address, _ := authorizingTemporal(t, true, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAnyClientCert,
	})))
	s := setup(t, atlassim.Config{}, "TEMPORAL_ADDRESS="+address,
		"TEMPORAL_TLS_SERVER_CA_CERT_PATH="+filepath.Join(folder, "cert"),
		"TEMPORAL_TLS_CLIENT_CERT_PATH="+filepath.Join(folder, "cert"),
		"TEMPORAL_TLS_CLIENT_KEY_PATH="+filepath.Join(folder, "key"),
		"TEMPORAL_PAYLOAD_KEYS="+payloadKey("one"), "TEMPORAL_CODEC_ORIGINS="+webUI)
	var l logs
	require.Equal(t, 1, Run(s.ctx(), nil, s.env, &l, &l))
	lines := l.lines(t)
	require.Equal(t, map[string]any{
		"level": "error",
		"msg":   "The worker ended",
		"error": "the codec endpoint would let in everybody: Temporal goes by this worker's client certificate, " +
			"whoever calls. Set TEMPORAL_CODEC_TOKEN",
	}, lines[len(lines)-1])
	// With a token the endpoint is served.
	s.env = append(s.env, "TEMPORAL_CODEC_TOKEN=token")
	s.run()
}
