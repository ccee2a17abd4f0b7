package worker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
	"github.com/atlas-provisioner/atlas-provisioner/internal/tracing"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker/codecserver"
)

// cleanEnv is an environment that does not read the configuration file of the developer who runs the tests.
func cleanEnv(more ...string) env.Env {
	return append(env.Env{"TEMPORAL_CONFIG_FILE=" + os.DevNull}, more...)
}

func withKey(t *testing.T, id string) codec.Codec {
	t.Helper()
	c, err := codec.FromEnv(env.Env{"TEMPORAL_PAYLOAD_KEYS=" + payloadKey(id)}.LookupEnv)
	require.NoError(t, err)
	return c
}

const token = "MONGODB_ATLAS_ACCESS_TOKEN=token"

func TestReadConfig(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "temporal.toml")
	require.NoError(t,
		os.WriteFile(file, []byte("[profile.cloud]\naddress = \"a.b.tmprl.cloud:7233\"\nnamespace = \"a.b\"\n"), 0o600))
	for _, test := range []struct {
		name string
		env  []string
		want func(*Config) // what differs from the defaults
	}{
		{"defaults", []string{token}, func(*Config) {}},
		{"empty is unset",
			[]string{token, "TEMPORAL_ADDRESS=", "TEMPORAL_TASK_QUEUE=", "MONGODB_ATLAS_BASE_URL=",
				"MONGODB_ATLAS_ALLOW_HTTP=", "WORKER_HTTP_ADDRESS=",
				"LOG_LEVEL=", "LOG_FORMAT=", "MONGODB_ATLAS_CLIENT_ID=", "MONGODB_ATLAS_PRIVATE_API_KEY="},
			func(*Config) {}},
		{"address", []string{token, "TEMPORAL_ADDRESS=temporal:7233"},
			func(c *Config) { c.Temporal.HostPort = "temporal:7233" }},
		{"namespace", []string{token, "TEMPORAL_NAMESPACE=n"}, func(c *Config) { c.Temporal.Namespace = "n" }},
		{"profile", []string{token, "TEMPORAL_CONFIG_FILE=" + file, "TEMPORAL_PROFILE=cloud"},
			func(c *Config) { c.Temporal.HostPort, c.Temporal.Namespace = "a.b.tmprl.cloud:7233", "a.b" }},
		{"task queue", []string{token, "TEMPORAL_TASK_QUEUE=q"}, func(c *Config) { c.TaskQueue = "q" }},
		{"version",
			[]string{token, "TEMPORAL_DEPLOYMENT_NAME=platform/atlas-provisioner", "TEMPORAL_WORKER_BUILD_ID=v1.2.3"},
			func(c *Config) {
				c.Deployment.DeploymentName, c.Deployment.BuildID = "platform/atlas-provisioner", "v1.2.3"
			}},

		{"service account", []string{"MONGODB_ATLAS_CLIENT_ID=i", "MONGODB_ATLAS_CLIENT_SECRET=s"},
			func(c *Config) { c.Auth = atlasclient.ServiceAccount{ClientID: "i", ClientSecret: "s"} }},
		{"API key", []string{"MONGODB_ATLAS_PUBLIC_API_KEY=p", "MONGODB_ATLAS_PRIVATE_API_KEY=s"},
			func(c *Config) { c.Auth = atlasclient.APIKey{PublicKey: "p", PrivateKey: "s"} }},

		{"base URL", []string{token, "MONGODB_ATLAS_BASE_URL=https://cloud-qa.mongodb.com/"},
			func(c *Config) { c.BaseURL = "https://cloud-qa.mongodb.com/" }},
		{"http to localhost", []string{token, "MONGODB_ATLAS_BASE_URL=http://localhost:8080"},
			func(c *Config) { c.BaseURL = "http://localhost:8080" }},
		{"http to 127.0.0.1", []string{token, "MONGODB_ATLAS_BASE_URL=http://127.0.0.1:8080"},
			func(c *Config) { c.BaseURL = "http://127.0.0.1:8080" }},
		{"http to ::1", []string{token, "MONGODB_ATLAS_BASE_URL=http://[::1]:8080"},
			func(c *Config) { c.BaseURL = "http://[::1]:8080" }},
		{"http elsewhere",
			[]string{token, "MONGODB_ATLAS_BASE_URL=http://atlas-sim:8080", "MONGODB_ATLAS_ALLOW_HTTP=true"},
			func(c *Config) { c.BaseURL, c.AllowHTTP = "http://atlas-sim:8080", true }},

		{"HTTP address", []string{token, "WORKER_HTTP_ADDRESS=:8080"}, func(c *Config) { c.HTTPAddress = ":8080" }},
		{"traces", []string{token, "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"},
			func(c *Config) { c.Tracing.Endpoint = "http://collector:4318/v1/traces" }},
		{"codec",
			[]string{token, "WORKER_HTTP_ADDRESS=:8080", "TEMPORAL_PAYLOAD_KEYS=" + payloadKey("one"),
				"TEMPORAL_CODEC_ORIGINS=https://a.example.com, http://localhost:8233,", "TEMPORAL_CODEC_TOKEN=t"},
			func(c *Config) {
				c.HTTPAddress, c.Codec = ":8080", withKey(t, "one")
				c.CodecServer = codecserver.Config{Origins: []string{"https://a.example.com", "http://localhost:8233"},
					Token: "t"}
			}},
		{"debug", []string{token, "LOG_LEVEL=debug"}, func(c *Config) { c.LogLevel = zapcore.DebugLevel }},
		{"error", []string{token, "LOG_LEVEL=ERROR"}, func(c *Config) { c.LogLevel = zapcore.ErrorLevel }},
		{"console", []string{token, "LOG_FORMAT=console"}, func(c *Config) { c.LogFormat = "console" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			off, err := tracing.ReadConfig(nil)
			require.NoError(t, err)
			want := Config{
				Tracing:   off,
				TaskQueue: "atlas-provisioning", BaseURL: "https://cloud.mongodb.com",
				Auth: atlasclient.AccessToken("token"), LogLevel: zapcore.InfoLevel, LogFormat: "json",
			}
			want.Temporal.HostPort, want.Temporal.Namespace = "localhost:7233", "default"
			test.want(&want)
			got, err := ReadConfig(cleanEnv(test.env...))
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

// The error has one line for each mistake, which names the variable.
func TestMistakes(t *testing.T) {
	t.Parallel()
	const (
		none = "no Atlas credential is set: set MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_CLIENT_SECRET, or " +
			"MONGODB_ATLAS_PUBLIC_API_KEY and MONGODB_ATLAS_PRIVATE_API_KEY, or MONGODB_ATLAS_ACCESS_TOKEN"
		https = "MONGODB_ATLAS_BASE_URL must be an absolute https URL, such as https://cloud.mongodb.com"
	)
	for _, test := range []struct {
		name string
		env  []string
		want []string
	}{
		{"no credential", nil, []string{none}},
		{"half a service account", []string{"MONGODB_ATLAS_CLIENT_ID=i"},
			[]string{"MONGODB_ATLAS_CLIENT_ID is set without MONGODB_ATLAS_CLIENT_SECRET"}},
		{"the other half", []string{"MONGODB_ATLAS_CLIENT_SECRET=hush"},
			[]string{"MONGODB_ATLAS_CLIENT_SECRET is set without MONGODB_ATLAS_CLIENT_ID"}},
		{"half an API key", []string{"MONGODB_ATLAS_PRIVATE_API_KEY=hush"},
			[]string{"MONGODB_ATLAS_PRIVATE_API_KEY is set without MONGODB_ATLAS_PUBLIC_API_KEY"}},
		{"halves of both", []string{"MONGODB_ATLAS_CLIENT_ID=i", "MONGODB_ATLAS_PRIVATE_API_KEY=hush"}, []string{
			"MONGODB_ATLAS_CLIENT_ID is set without MONGODB_ATLAS_CLIENT_SECRET",
			"MONGODB_ATLAS_PRIVATE_API_KEY is set without MONGODB_ATLAS_PUBLIC_API_KEY"}},
		{"one and a half", []string{"MONGODB_ATLAS_ACCESS_TOKEN=hush", "MONGODB_ATLAS_CLIENT_ID=i"},
			[]string{"MONGODB_ATLAS_CLIENT_ID is set without MONGODB_ATLAS_CLIENT_SECRET"}},
		{"two",
			[]string{"MONGODB_ATLAS_ACCESS_TOKEN=hush", "MONGODB_ATLAS_CLIENT_ID=i",
				"MONGODB_ATLAS_CLIENT_SECRET=hush"}, []string{
				"more than one Atlas credential is set (MONGODB_ATLAS_CLIENT_ID, MONGODB_ATLAS_CLIENT_SECRET, " +
					"MONGODB_ATLAS_ACCESS_TOKEN): keep one kind"}},
		{"three",
			[]string{"MONGODB_ATLAS_ACCESS_TOKEN=hush", "MONGODB_ATLAS_CLIENT_ID=i",
				"MONGODB_ATLAS_CLIENT_SECRET=hush", "MONGODB_ATLAS_PUBLIC_API_KEY=p",
				"MONGODB_ATLAS_PRIVATE_API_KEY=hush"}, []string{
				"more than one Atlas credential is set (MONGODB_ATLAS_CLIENT_ID, MONGODB_ATLAS_CLIENT_SECRET, " +
					"MONGODB_ATLAS_PUBLIC_API_KEY, MONGODB_ATLAS_PRIVATE_API_KEY, MONGODB_ATLAS_ACCESS_TOKEN): " +
					"keep one kind"}},
		{"a newline from a file", []string{"MONGODB_ATLAS_ACCESS_TOKEN=hush\n"},
			[]string{"MONGODB_ATLAS_ACCESS_TOKEN holds white space: set the bare value"}},
		{"a space in a half", []string{"MONGODB_ATLAS_CLIENT_ID= i", "MONGODB_ATLAS_CLIENT_SECRET=hush\t"}, []string{
			"MONGODB_ATLAS_CLIENT_ID holds white space: set the bare value",
			"MONGODB_ATLAS_CLIENT_SECRET holds white space: set the bare value"}},

		{"http", []string{token, "MONGODB_ATLAS_BASE_URL=http://atlas.example.com"}, []string{
			"MONGODB_ATLAS_BASE_URL must be https: plain http to atlas.example.com would send the credential in " +
				"the clear"}},
		{"http to a name that begins so", []string{token, "MONGODB_ATLAS_BASE_URL=http://localhost.example.com"},
			[]string{
				"MONGODB_ATLAS_BASE_URL must be https: plain http to localhost.example.com would send the " +
					"credential in the clear"}},
		{"http to an address that is none of its own", []string{token, "MONGODB_ATLAS_BASE_URL=http://0.0.0.0:8080"},
			[]string{
				"MONGODB_ATLAS_BASE_URL must be https: plain http to 0.0.0.0 would send the credential in the clear"}},
		{"http refused",
			[]string{token, "MONGODB_ATLAS_BASE_URL=http://atlas-sim:8080", "MONGODB_ATLAS_ALLOW_HTTP=false"}, []string{
				"MONGODB_ATLAS_BASE_URL must be https: plain http to atlas-sim would send the credential in the " +
					"clear"}},
		{"no scheme", []string{token, "MONGODB_ATLAS_BASE_URL=cloud.mongodb.com"}, []string{https}},
		{"no host", []string{token, "MONGODB_ATLAS_BASE_URL=https://"}, []string{https}},
		{"ftp", []string{token, "MONGODB_ATLAS_BASE_URL=ftp://cloud.mongodb.com", "MONGODB_ATLAS_ALLOW_HTTP=true"},
			[]string{https}},
		{"no URL", []string{token, "MONGODB_ATLAS_BASE_URL=https://me:hush@cloud%zz"}, []string{https}},
		{"a password", []string{token, "MONGODB_ATLAS_BASE_URL=https://me:hush@cloud.mongodb.com"}, []string{
			"MONGODB_ATLAS_BASE_URL must not hold a user name or password: they would show up in errors and logs"}},
		{"a query", []string{token, "MONGODB_ATLAS_BASE_URL=https://cloud.mongodb.com?key=hush"},
			[]string{"MONGODB_ATLAS_BASE_URL must not hold a query or fragment"}},

		{"the path of the API", []string{token, "MONGODB_ATLAS_BASE_URL=https://cloud.mongodb.com/api/atlas/v2"},
			[]string{"MONGODB_ATLAS_BASE_URL must be the root of the API, without a path such as /api/atlas/v2, " +
				"such as https://cloud.mongodb.com"}},
		{"a port that is none", []string{token, "MONGODB_ATLAS_BASE_URL=https://cloud.mongodb.com:99999"},
			[]string{"MONGODB_ATLAS_BASE_URL must have a port from 1 to 65535, not 99999"}},
		{"a line end", []string{token, "MONGODB_ATLAS_BASE_URL=https://cloud.mongodb.com\n"}, []string{https}},
		{"a space", []string{token, "MONGODB_ATLAS_BASE_URL= https://cloud.mongodb.com"}, []string{https}},

		{"allow", []string{token, "MONGODB_ATLAS_ALLOW_HTTP=yes"},
			[]string{"MONGODB_ATLAS_ALLOW_HTTP must be true or false"}},
		{"half a version", []string{token, "TEMPORAL_DEPLOYMENT_NAME=d"},
			[]string{"TEMPORAL_DEPLOYMENT_NAME is set without TEMPORAL_WORKER_BUILD_ID"}},
		{"the other half of it", []string{token, "TEMPORAL_WORKER_BUILD_ID=1"},
			[]string{"TEMPORAL_WORKER_BUILD_ID is set without TEMPORAL_DEPLOYMENT_NAME"}},
		{"a version that the server refuses",
			[]string{token, "TEMPORAL_DEPLOYMENT_NAME=a.b", "TEMPORAL_WORKER_BUILD_ID=__a"}, []string{
				`TEMPORAL_DEPLOYMENT_NAME must hold no dot, colon or white space and not begin with __, got "a.b"`,
				`TEMPORAL_WORKER_BUILD_ID must hold no white space and not begin with __, got "__a"`}},
		{"HTTP address", []string{token, "WORKER_HTTP_ADDRESS=8080"},
			[]string{`WORKER_HTTP_ADDRESS must be host:port or :port, with a port from 0 to 65535, got "8080"`}},
		{"payload keys", []string{token, "TEMPORAL_PAYLOAD_KEYS=hush,one:hush"}, []string{
			"TEMPORAL_PAYLOAD_KEYS entry 1 must have a key of 32 bytes in base64, as 'openssl rand -base64 32' " +
				"makes it",
			"TEMPORAL_PAYLOAD_KEYS entry 2 must have a key of 32 bytes in base64, as 'openssl rand -base64 32' " +
				"makes it"}},
		{"payload keys twice", []string{token, "TEMPORAL_PAYLOAD_KEYS=hush", "TEMPORAL_PAYLOAD_KEYS_FILE=hush"},
			[]string{
				"TEMPORAL_PAYLOAD_KEYS and TEMPORAL_PAYLOAD_KEYS_FILE are both set: keep one"}},
		{"codec without keys",
			[]string{token, "WORKER_HTTP_ADDRESS=:8080", "TEMPORAL_CODEC_ORIGINS=https://a.example.com",
				"TEMPORAL_CODEC_TOKEN=hush"}, []string{
				"TEMPORAL_CODEC_ORIGINS is set without TEMPORAL_PAYLOAD_KEYS or TEMPORAL_PAYLOAD_KEYS_FILE: there " +
					"is nothing to decode",
				"TEMPORAL_CODEC_TOKEN is set without TEMPORAL_PAYLOAD_KEYS or TEMPORAL_PAYLOAD_KEYS_FILE: there " +
					"is nothing to decode"}},
		{"codec nowhere",
			[]string{token, "TEMPORAL_PAYLOAD_KEYS=" + payloadKey("one"),
				"TEMPORAL_CODEC_ORIGINS=https://a.example.com"}, []string{
				"TEMPORAL_CODEC_ORIGINS is set without WORKER_HTTP_ADDRESS, where the codec endpoint would be"}},
		{"codec",
			[]string{token, "WORKER_HTTP_ADDRESS=:8080", "TEMPORAL_PAYLOAD_KEYS=" + payloadKey("one"),
				"TEMPORAL_CODEC_TOKEN=hush hush",
				"TEMPORAL_CODEC_ORIGINS=*,a.example.com,https://a.example.com/,ftp://a,https://me@a.example.com,https://,https://a:99999"}, []string{
				`TEMPORAL_CODEC_ORIGINS must hold origins such as https://temporal.example.com, with commas ` +
					`between them, got "*"`,
				`TEMPORAL_CODEC_ORIGINS must hold origins such as https://temporal.example.com, with commas ` +
					`between them, got "a.example.com"`,
				`TEMPORAL_CODEC_ORIGINS must hold origins such as https://temporal.example.com, with commas ` +
					`between them, got "https://a.example.com/"`,
				`TEMPORAL_CODEC_ORIGINS must hold origins such as https://temporal.example.com, with commas ` +
					`between them, got "ftp://a"`,
				`TEMPORAL_CODEC_ORIGINS must hold origins such as https://temporal.example.com, with commas ` +
					`between them, got "https://me@a.example.com"`,
				`TEMPORAL_CODEC_ORIGINS must hold origins such as https://temporal.example.com, with commas ` +
					`between them, got "https://"`,
				`TEMPORAL_CODEC_ORIGINS must hold origins such as https://temporal.example.com, with commas ` +
					`between them, got "https://a:99999"`,
				"TEMPORAL_CODEC_TOKEN holds white space: set the bare value"}},
		{"log level", []string{token, "LOG_LEVEL=loud"},
			[]string{`LOG_LEVEL must be debug, info, warn or error, got "loud"`}},
		{"HTTP port", []string{token, "WORKER_HTTP_ADDRESS=:99999"},
			[]string{`WORKER_HTTP_ADDRESS must be host:port or :port, with a port from 0 to 65535, got ":99999"`}},
		{"HTTP address with a line end", []string{token, "WORKER_HTTP_ADDRESS=:8080\n"},
			[]string{`WORKER_HTTP_ADDRESS must be host:port or :port, with a port from 0 to 65535, got ":8080\n"`}},
		{"HTTP address with a space", []string{token, "WORKER_HTTP_ADDRESS= localhost:8080"},
			[]string{`WORKER_HTTP_ADDRESS must be host:port or :port, with a port from 0 to 65535, got " ` +
				`localhost:8080"`}},
		{"a level above error", []string{token, "LOG_LEVEL=fatal"},
			[]string{`LOG_LEVEL must be debug, info, warn or error, got "fatal"`}},
		{"a level with a space", []string{token, "LOG_LEVEL=info "},
			[]string{`LOG_LEVEL must be debug, info, warn or error, got "info "`}},
		{"a version with a character that cannot be seen",
			[]string{token, "TEMPORAL_DEPLOYMENT_NAME=a\u200b", "TEMPORAL_WORKER_BUILD_ID=1\u00a0"}, []string{
				`TEMPORAL_DEPLOYMENT_NAME must hold no dot, colon or white space and not begin with __, got "a\u200b"`,
				`TEMPORAL_WORKER_BUILD_ID must hold no white space and not begin with __, got "1\u00a0"`}},
		{"a credential with a character that cannot be seen", []string{"MONGODB_ATLAS_ACCESS_TOKEN=hush\ufeff"},
			[]string{"MONGODB_ATLAS_ACCESS_TOKEN holds a character that no key has: set the bare value"}},
		{"what concerns Temporal", []string{token, "TEMPORAL_TASK_QUEUE=q ", "TEMPORAL_TLS=yes", "HTTPS_PROXY=http://"},
			[]string{`TEMPORAL_TLS must be true or false, got "yes"`,
				"TEMPORAL_TASK_QUEUE has white space or a line end around it: set the bare value",
				"HTTPS_PROXY must be a URL such as http://proxy.example.com:3128"}},
		{"traces", []string{token, "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318"},
			[]string{"OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://localhost:4318, without a user " +
				"name, a query or a fragment"}},
		{"log format", []string{token, "LOG_FORMAT=JSON"}, []string{`LOG_FORMAT must be json or console, got "JSON"`}},
		{"profile", []string{token, "TEMPORAL_PROFILE=none"}, []string{
			`TEMPORAL_PROFILE is "none", and TEMPORAL_CONFIG_FILE has no such profile`}},

		{"all at once", []string{
			"LOG_FORMAT=xml", "LOG_LEVEL=loud", "WORKER_HTTP_ADDRESS=nowhere", "MONGODB_ATLAS_CLIENT_ID=hush hush",
			"MONGODB_ATLAS_PRIVATE_API_KEY=hush",
			"MONGODB_ATLAS_BASE_URL=http://atlas.example.com", "MONGODB_ATLAS_ALLOW_HTTP=maybe",
			"TEMPORAL_TLS_CLIENT_KEY_DATA=hush",
		}, []string{
			"TEMPORAL_TLS_CLIENT_KEY_DATA is set without TEMPORAL_TLS_CLIENT_CERT_PATH or " +
				"TEMPORAL_TLS_CLIENT_CERT_DATA",
			"MONGODB_ATLAS_ALLOW_HTTP must be true or false",
			"MONGODB_ATLAS_BASE_URL must be https: plain http to atlas.example.com would send the credential in " +
				"the clear",
			"MONGODB_ATLAS_CLIENT_ID holds white space: set the bare value",
			"MONGODB_ATLAS_CLIENT_ID is set without MONGODB_ATLAS_CLIENT_SECRET",
			"MONGODB_ATLAS_PRIVATE_API_KEY is set without MONGODB_ATLAS_PUBLIC_API_KEY",
			`WORKER_HTTP_ADDRESS must be host:port or :port, with a port from 0 to 65535, got "nowhere"`,
			`LOG_LEVEL must be debug, info, warn or error, got "loud"`,
			`LOG_FORMAT must be json or console, got "xml"`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadConfig(cleanEnv(test.env...))
			require.EqualError(t, err, strings.Join(test.want, "\n"))
			require.NotContains(t, err.Error(), "hush", "a secret")
		})
	}
}

// The error for a profile that cannot be parsed does not show the key in it.
func TestBrokenProfileKeepsItsKey(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"[profile.default]\napi_key = hush-hush", "[profile.default]\napi_key = 'hush-hush",
		"[profile.default]\napi_key = \"hush-hush\" more",
		"[profile.default]\napi_key = \"\"\"hush-hush", "[profile.default]\napi_key = \"hush\\hush\"",
		"[profile.default]\napi_key = [\"hush\"]",
	} {
		file := filepath.Join(t.TempDir(), "temporal.toml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := ReadConfig(cleanEnv(token, "TEMPORAL_CONFIG_FILE="+file))
		require.ErrorContains(t, err,
			"TEMPORAL_CONFIG_FILE cannot be used: failed parsing config: toml:", text)
		require.NotContains(t, err.Error(), "hush", text)
	}
}
