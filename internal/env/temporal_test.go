package env_test

import (
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crypto/x509"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
)

// cleanEnv is an environment that does not read the configuration file of the developer who runs the tests.
func cleanEnv(more ...string) env.Env {
	return append(env.Env{"TEMPORAL_CONFIG_FILE=" + os.DevNull}, more...)
}

// write makes a file and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// keyPair returns a certificate and its key in PEM form.
func keyPair(t *testing.T) (certificate, key string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	pair := server.TLS.Certificates[0]
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("CERTIFICATE", pair.Certificate[0]), encode("PRIVATE KEY", private)
}

func TestTemporalOptions(t *testing.T) {
	t.Parallel()
	file := "TEMPORAL_CONFIG_FILE=" + write(t, "temporal.toml", `
[profile.default]
address = "default.example.com:7233"
[profile.cloud]
address = "a.b.tmprl.cloud:7233"
namespace = "a.b"
api_key = "key-of-the-profile"
[profile.partly]
namespace = "partly"
[profile.tls.tls]
server_name = "temporal.internal"
`)
	certificate, key := keyPair(t)
	certificateFile, keyFile := write(t, "cert.pem", certificate), write(t, "key.pem", key)
	type want struct {
		address, namespace, serverName string
		tls, credentials, pair         bool
	}
	const local = "localhost:7233"
	for _, test := range []struct {
		name string
		env  []string
		want want
	}{
		{"nothing", nil, want{address: local, namespace: "default"}},
		{"empty", []string{"TEMPORAL_ADDRESS=", "TEMPORAL_NAMESPACE=", "TEMPORAL_TLS=", "TEMPORAL_TLS_SERVER_NAME=",
			"TEMPORAL_TLS_CLIENT_CERT_PATH=", "TEMPORAL_API_KEY=", "TEMPORAL_TASK_QUEUE=", "HTTPS_PROXY=", "NO_PROXY=",
			"SSL_CERT_FILE=", "SSL_CERT_DIR=", "TEMPORAL_UI_URL=", "TEMPORAL_PROFILE=", "TEMPORAL_TLS_CERT="},
			want{address: local, namespace: "default"}},
		{"variables", []string{"TEMPORAL_ADDRESS=temporal:7233", "TEMPORAL_NAMESPACE=n"},
			want{address: "temporal:7233", namespace: "n"}},
		{"an API key turns TLS on", []string{"TEMPORAL_ADDRESS=a:1", "TEMPORAL_API_KEY=secret"},
			want{address: "a:1", namespace: "default", tls: true, credentials: true}},
		{"an API key without TLS", []string{"TEMPORAL_API_KEY=secret", "TEMPORAL_TLS=False"},
			want{address: local, namespace: "default", credentials: true}},
		{"TLS", []string{"TEMPORAL_TLS=TRUE", "TEMPORAL_TLS_SERVER_NAME=s"},
			want{address: local, namespace: "default", tls: true, serverName: "s"}},
		{"a client certificate from files", []string{"TEMPORAL_TLS_CLIENT_CERT_PATH=" + certificateFile,
			"TEMPORAL_TLS_CLIENT_KEY_PATH=" + keyFile, "TEMPORAL_TLS_SERVER_CA_CERT_PATH=" + certificateFile},
			want{address: local, namespace: "default", tls: true, pair: true}},
		{"a client certificate from variables", []string{"TEMPORAL_TLS_CLIENT_CERT_DATA=" + certificate,
			"TEMPORAL_TLS_CLIENT_KEY_DATA=" + key, "TEMPORAL_TLS_SERVER_CA_CERT_DATA=" + certificate},
			want{address: local, namespace: "default", tls: true, pair: true}},
		{"a client certificate from a file and a variable",
			[]string{"TEMPORAL_TLS_CLIENT_CERT_PATH=" + certificateFile, "TEMPORAL_TLS_CLIENT_KEY_DATA=" + key,
				"TEMPORAL_TLS_SERVER_CA_CERT_DATA=" + certificate},
			want{address: local, namespace: "default", tls: true, pair: true}},
		{"the default profile", []string{file}, want{address: "default.example.com:7233", namespace: "default"}},
		{"a profile", []string{file, "TEMPORAL_PROFILE=cloud"},
			want{address: "a.b.tmprl.cloud:7233", namespace: "a.b", tls: true, credentials: true}},
		{"a variable wins", []string{file, "TEMPORAL_PROFILE=cloud", "TEMPORAL_NAMESPACE=n"},
			want{address: "a.b.tmprl.cloud:7233", namespace: "n", tls: true, credentials: true}},
		{"part of a profile", []string{file, "TEMPORAL_PROFILE=partly"}, want{address: local, namespace: "partly"}},
		{"a profile's TLS", []string{file, "TEMPORAL_PROFILE=tls"},
			want{address: local, namespace: "default", tls: true, serverName: "temporal.internal"}},

		{"no port", []string{"TEMPORAL_ADDRESS=localhost"}, want{address: local, namespace: "default"}},
		{"no port, an IPv4 address", []string{"TEMPORAL_ADDRESS=127.0.0.1"},
			want{address: "127.0.0.1:7233", namespace: "default"}},
		{"no port, an IPv6 address", []string{"TEMPORAL_ADDRESS=::1"},
			want{address: "[::1]:7233", namespace: "default"}},
		{"no port, in brackets", []string{"TEMPORAL_ADDRESS=[::1]"}, want{address: "[::1]:7233", namespace: "default"}},
		{"an IPv6 address", []string{"TEMPORAL_ADDRESS=[::1]:1"}, want{address: "[::1]:1", namespace: "default"}},
		{"a resolver", []string{"TEMPORAL_ADDRESS=dns:///temporal"},
			want{address: "dns:///temporal:7233", namespace: "default"}},
		{"a resolver and port", []string{"TEMPORAL_ADDRESS=dns:///temporal:1"},
			want{address: "dns:///temporal:1", namespace: "default"}},
		{"a socket", []string{"TEMPORAL_ADDRESS=unix:///run/temporal"},
			want{address: "unix:///run/temporal", namespace: "default"}},

		{"a service of Kubernetes",
			[]string{"TEMPORAL_TLS_SERVICE_HOST=10.0.0.1", "TEMPORAL_TLS_PORT_7233_TCP=tcp://10.0.0.1:7233"},
			want{address: local, namespace: "default"}},
		{"others", []string{"TEMPORAL_TASK_QUEUE=my queue", "TEMPORAL_GRPC_META_MY_HEADER=a b",
			"TEMPORAL_UI_URL=https://temporal.example.com:8233/ui/",
			"HTTPS_PROXY=http://me:hush@proxy.example.com:3128",
			"https_proxy=proxy.example.com:3128", "HTTP_PROXY=socks5://[::1]:1080",
			"NO_PROXY=localhost, 10.0.0.0/8,.svc,*,[::1]:80,",
			"SSL_CERT_FILE=" + certificateFile, "SSL_CERT_DIR=" + filepath.Dir(certificateFile)},
			want{address: local, namespace: "default"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o, err := cleanEnv(test.env...).TemporalOptions()
			require.NoError(t, err)
			got := want{address: o.HostPort, namespace: o.Namespace, credentials: o.Credentials != nil}
			if c := o.ConnectionOptions.TLS; c != nil {
				got.tls, got.serverName, got.pair = true, c.ServerName, len(c.Certificates) == 1 && c.RootCAs != nil
				require.False(t, c.InsecureSkipVerify)
			}
			require.Equal(t, test.want, got)
		})
	}
	o, err := cleanEnv("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION=1").TemporalOptions()
	require.NoError(t, err)
	require.Equal(t, &tls.Config{InsecureSkipVerify: true}, o.ConnectionOptions.TLS)
}

// A variable that is set and that nothing can be made of is an error that names it, and never shows a secret.
func TestTemporalOptionsMistakes(t *testing.T) {
	t.Parallel()
	certificate, key := keyPair(t)
	certificateFile, keyFile := write(t, "cert.pem", certificate), write(t, "key.pem", key)
	empty := write(t, "empty.pem", "hush")
	folder := filepath.Dir(empty)
	profiles := write(t, "temporal.toml", `
[profile.space]
namespace = " n"
address = "a:99999"
api_key = "hush\n"
[profile.space.grpc_meta]
authorization = "hush\n"
[profile.half.tls]
client_cert_path = "`+certificateFile+`"
[profile.off.tls]
disabled = true
`)
	unknown := write(t, "unknown.toml",
		"[profile.default]\nadress = \"a:1\"\n[profile.default.tls]\nserver = \"b\"\n[profil.cloud]\naddress=\"c\"")
	const (
		space   = " has white space or a line end around it: set the bare value"
		spaced  = " holds white space: set the bare value"
		address = "TEMPORAL_ADDRESS must be host:port, such as localhost:7233, with a port from 1 to 65535, got "
		proxy   = " must be a URL such as http://proxy.example.com:3128"
		noProxy = "NO_PROXY must hold names, IP addresses and ranges such as 10.0.0.0/8, with commas between them, got "
		uiURL   = "TEMPORAL_UI_URL must be a URL such as https://temporal.example.com"
		tlsKeys = "TEMPORAL_TLS_CLIENT_CERT_PATH, TEMPORAL_TLS_CLIENT_CERT_DATA, TEMPORAL_TLS_CLIENT_KEY_PATH, " +
			"TEMPORAL_TLS_CLIENT_KEY_DATA, TEMPORAL_TLS_SERVER_CA_CERT_PATH, TEMPORAL_TLS_SERVER_CA_CERT_DATA, " +
			"TEMPORAL_TLS_SERVER_NAME, TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"
	)
	noFile := func(path string) string { return " cannot be read: open " + path + ": no such file or directory" }
	for _, test := range []struct {
		name string
		env  []string
		want []string
	}{
		{"TLS", []string{"TEMPORAL_TLS=yes"}, []string{`TEMPORAL_TLS must be true or false, got "yes"`}},
		{"TLS with a space", []string{"TEMPORAL_TLS=true "},
			[]string{`TEMPORAL_TLS must be true or false, got "true "`}},
		{"host verification", []string{"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION=off"},
			[]string{`TEMPORAL_TLS_DISABLE_HOST_VERIFICATION must be true or false, got "off"`}},
		{"a variable of older programs", []string{"TEMPORAL_TLS_CERT=hush"},
			[]string{"TEMPORAL_TLS_CERT is not known: the variables of TLS are " + tlsKeys}},
		{"TLS is off", []string{"TEMPORAL_TLS=0", "TEMPORAL_TLS_SERVER_NAME=s", "TEMPORAL_TLS_CLIENT_CERT_PATH=hush"},
			[]string{
				"TEMPORAL_TLS_CLIENT_CERT_PATH is set, but TEMPORAL_TLS turns TLS off",
				"TEMPORAL_TLS_SERVER_NAME is set, but TEMPORAL_TLS turns TLS off"}},
		{"TLS is off in the profile",
			[]string{"TEMPORAL_CONFIG_FILE=" + profiles, "TEMPORAL_PROFILE=off", "TEMPORAL_TLS_SERVER_NAME=s"},
			[]string{
				`TEMPORAL_TLS_SERVER_NAME is set, but TEMPORAL_TLS (tls.disabled of profile "off") turns TLS off`}},
		{"files that are not there",
			[]string{"TEMPORAL_TLS_CLIENT_CERT_PATH=/no/cert", "TEMPORAL_TLS_CLIENT_KEY_PATH=/no/key",
				"TEMPORAL_TLS_SERVER_CA_CERT_PATH=/no/ca"}, []string{
				"TEMPORAL_TLS_CLIENT_CERT_PATH" + noFile("/no/cert"),
				"TEMPORAL_TLS_CLIENT_KEY_PATH" + noFile("/no/key"),
				"TEMPORAL_TLS_SERVER_CA_CERT_PATH" + noFile("/no/ca")}},
		{"paths and data",
			[]string{"TEMPORAL_TLS_CLIENT_CERT_PATH=" + certificateFile, "TEMPORAL_TLS_CLIENT_CERT_DATA=hush",
				"TEMPORAL_TLS_CLIENT_KEY_PATH=" + keyFile, "TEMPORAL_TLS_CLIENT_KEY_DATA=hush",
				"TEMPORAL_TLS_SERVER_CA_CERT_PATH=" + certificateFile, "TEMPORAL_TLS_SERVER_CA_CERT_DATA=hush"},
			[]string{
				"TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_CERT_DATA are both set: keep one",
				"TEMPORAL_TLS_CLIENT_KEY_PATH and TEMPORAL_TLS_CLIENT_KEY_DATA are both set: keep one",
				"TEMPORAL_TLS_SERVER_CA_CERT_PATH and TEMPORAL_TLS_SERVER_CA_CERT_DATA are both set: keep one"}},
		{"a certificate alone", []string{"TEMPORAL_TLS_CLIENT_CERT_PATH=" + certificateFile},
			[]string{"TEMPORAL_TLS_CLIENT_CERT_PATH is set without TEMPORAL_TLS_CLIENT_KEY_PATH or " +
				"TEMPORAL_TLS_CLIENT_KEY_DATA"}},
		{"a key alone", []string{"TEMPORAL_TLS_CLIENT_KEY_DATA=hush"},
			[]string{"TEMPORAL_TLS_CLIENT_KEY_DATA is set without TEMPORAL_TLS_CLIENT_CERT_PATH or " +
				"TEMPORAL_TLS_CLIENT_CERT_DATA"}},
		{"a certificate alone in a profile", []string{"TEMPORAL_CONFIG_FILE=" + profiles, "TEMPORAL_PROFILE=half"},
			[]string{
				`TEMPORAL_TLS_CLIENT_CERT_PATH (tls.client_cert_path of profile "half") is set without ` +
					`TEMPORAL_TLS_CLIENT_KEY_PATH or TEMPORAL_TLS_CLIENT_KEY_DATA`}},
		{"no certificate", []string{"TEMPORAL_TLS_CLIENT_KEY_DATA=hush", "TEMPORAL_TLS_CLIENT_CERT_DATA=cert"},
			[]string{
				"TEMPORAL_TLS_CLIENT_CERT_DATA and TEMPORAL_TLS_CLIENT_KEY_DATA cannot be used: tls: failed to " +
					"find any PEM data in certificate input"}},
		{"no authority", []string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH=" + empty},
			[]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH holds no certificate in PEM form"}},
		{"no authority data", []string{"TEMPORAL_TLS_SERVER_CA_CERT_DATA=hush"},
			[]string{"TEMPORAL_TLS_SERVER_CA_CERT_DATA holds no certificate in PEM form"}},

		{"no configuration file", []string{"TEMPORAL_CONFIG_FILE=/no/temporal.toml", "TEMPORAL_PROFILE=p"},
			[]string{"TEMPORAL_CONFIG_FILE" + noFile("/no/temporal.toml")}},
		{"a folder", []string{"TEMPORAL_CONFIG_FILE=" + folder},
			[]string{"TEMPORAL_CONFIG_FILE cannot be read: read " + folder + ": is a directory"}},
		{"no such profile", []string{"TEMPORAL_CONFIG_FILE=" + profiles, "TEMPORAL_PROFILE=cloud "},
			[]string{`TEMPORAL_PROFILE is "cloud ", and TEMPORAL_CONFIG_FILE has no such profile`}},
		{"unknown keys", []string{"TEMPORAL_CONFIG_FILE=" + unknown}, []string{
			"TEMPORAL_CONFIG_FILE holds keys that Temporal does not know: profile.default.adress, " +
				"profile.default.tls.server, profil.cloud, profil.cloud.address"}},
		{"a broken file",
			[]string{"TEMPORAL_CONFIG_FILE=" + write(t, "broken.toml", "[profile.default\napi_key = \"hush\"")},
			[]string{"TEMPORAL_CONFIG_FILE cannot be used: failed parsing config: toml: line 2 is wrong (not " +
				"shown, since it may hold a key)"}},
		{"white space in a profile", []string{"TEMPORAL_CONFIG_FILE=" + profiles, "TEMPORAL_PROFILE=space"}, []string{
			`TEMPORAL_NAMESPACE (namespace of profile "space")` + space,
			`TEMPORAL_API_KEY (api_key of profile "space")` + spaced,
			`TEMPORAL_ADDRESS (address of profile "space") must be host:port, such as localhost:7233, with a port ` +
				`from 1 to 65535, got "a:99999"`,
			`TEMPORAL_GRPC_META_AUTHORIZATION (grpc_meta.authorization of profile "space")` + space}},

		{"white space",
			[]string{"TEMPORAL_NAMESPACE=n\n", "TEMPORAL_API_KEY=hush\r\n", "TEMPORAL_TASK_QUEUE=q ",
				"TEMPORAL_CLIENT_AUTHORITY=\ta",
				"TEMPORAL_TLS_SERVER_NAME= s", "TEMPORAL_GRPC_META_A=hush "}, []string{
				"TEMPORAL_TASK_QUEUE" + space, "TEMPORAL_NAMESPACE" + space, "TEMPORAL_API_KEY" + spaced,
				"TEMPORAL_CLIENT_AUTHORITY" + space,
				"TEMPORAL_GRPC_META_A" + space, "TEMPORAL_TLS_SERVER_NAME" + space}},
		{"white space that is no ASCII",
			[]string{"TEMPORAL_NAMESPACE=n\u00a0", "TEMPORAL_API_KEY=hu\u2003sh", "TEMPORAL_TASK_QUEUE= "}, []string{
				"TEMPORAL_TASK_QUEUE" + space, "TEMPORAL_NAMESPACE" + space, "TEMPORAL_API_KEY" + spaced}},
		{"characters that cannot be seen",
			[]string{"TEMPORAL_NAMESPACE=n\u200bm", "TEMPORAL_API_KEY=hush\u200b", "TEMPORAL_TASK_QUEUE=q\xff"},
			[]string{
				"TEMPORAL_TASK_QUEUE is not valid UTF-8",
				"TEMPORAL_NAMESPACE holds a character that cannot be printed: set the bare value",
				"TEMPORAL_API_KEY holds a character that no key has: set the bare value"}},
		{"headers",
			[]string{"TEMPORAL_GRPC_META_=a", "TEMPORAL_GRPC_META_GRPC_TIMEOUT=a", "TEMPORAL_GRPC_META_A=hush\x00",
				"TEMPORAL_GRPC_META_Ä=a"}, []string{
				"TEMPORAL_GRPC_META_ is not the name of a header that can be sent",
				"TEMPORAL_GRPC_META_A holds a character that no header has",
				"TEMPORAL_GRPC_META_GRPC_TIMEOUT is not the name of a header that can be sent",
				"TEMPORAL_GRPC_META_Ä is not the name of a header that can be sent"}},

		{"a port that is none", []string{"TEMPORAL_ADDRESS=localhost:99999"}, []string{address + `"localhost:99999"`}},
		{"port 0", []string{"TEMPORAL_ADDRESS=localhost:0"}, []string{address + `"localhost:0"`}},
		{"an empty port", []string{"TEMPORAL_ADDRESS=localhost:"}, []string{address + `"localhost:"`}},
		{"a service name", []string{"TEMPORAL_ADDRESS=localhost:https"}, []string{address + `"localhost:https"`}},
		{"a URL", []string{"TEMPORAL_ADDRESS=http://localhost:7233"}, []string{address + `"http://localhost:7233"`}},
		{"a path", []string{"TEMPORAL_ADDRESS=localhost:7233/"}, []string{address + `"localhost:7233/"`}},
		{"a line end", []string{"TEMPORAL_ADDRESS=localhost:7233\n"}, []string{address + `"localhost:7233\n"`}},
		{"a space", []string{"TEMPORAL_ADDRESS= localhost"}, []string{address + `" localhost"`}},
		{"a resolver with a port that is none", []string{"TEMPORAL_ADDRESS=dns:///localhost:x"},
			[]string{address + `"localhost:x"`}},

		{"proxies",
			[]string{"HTTPS_PROXY=http://me:hush@:3128", "https_proxy=http://proxy:99999", "HTTP_PROXY= http://proxy",
				"http_proxy=ftp://proxy"},
			[]string{"HTTPS_PROXY" + proxy, "https_proxy" + proxy, "HTTP_PROXY" + proxy, "http_proxy" + proxy}},
		{"a proxy that is no URL", []string{"HTTPS_PROXY=http://", "HTTP_PROXY=:3128", "http_proxy=http://pro xy"},
			[]string{"HTTPS_PROXY" + proxy, "HTTP_PROXY" + proxy, "http_proxy" + proxy}},
		{"no proxy", []string{"NO_PROXY=10.0.0.0/99,https://a,a b,:80"},
			[]string{noProxy + `"10.0.0.0/99"`, noProxy + `"https://a"`, noProxy + `"a b"`, noProxy + `":80"`}},
		{"certificates", []string{"SSL_CERT_FILE=/no/file", "SSL_CERT_DIR=" + folder + ":/no/folder"},
			[]string{"SSL_CERT_FILE" + noFile("/no/file"), "SSL_CERT_DIR" + noFile("/no/folder")}},
		{"no certificates", []string{"SSL_CERT_FILE=" + empty},
			[]string{"SSL_CERT_FILE holds no certificate in PEM form"}},
		{"Web UI", []string{"TEMPORAL_UI_URL=temporal.example.com"}, []string{uiURL}},
		{"Web UI with a password", []string{"TEMPORAL_UI_URL=https://me:hush@temporal.example.com"}, []string{uiURL}},
		{"Web UI with a query", []string{"TEMPORAL_UI_URL=https://temporal.example.com/?a=b"}, []string{uiURL}},
		{"Web UI with a fragment", []string{"TEMPORAL_UI_URL=https://temporal.example.com/#a"}, []string{uiURL}},
		{"Web UI with a line end", []string{"TEMPORAL_UI_URL=https://temporal.example.com\n"}, []string{uiURL}},
		{"Web UI with a port that is none", []string{"TEMPORAL_UI_URL=https://temporal.example.com:99999"},
			[]string{uiURL}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := cleanEnv(test.env...).TemporalOptions()
			require.EqualError(t, err, strings.Join(test.want, "\n"))
			require.NotContains(t, err.Error(), "hush", "a secret")
		})
	}
}
