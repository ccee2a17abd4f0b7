package env_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
)

func TestGet(t *testing.T) {
	t.Parallel()
	e := env.Env{"A=1", "EMPTY=", "AB=2", "EQUALS=a=b=", "A=3", "NONE", "=C:=x"}
	for _, test := range []struct {
		name  string
		value string
		set   bool
		get   string // otherwise "else"
	}{
		{"A", "3", true, "3"}, // the last wins, as in a process
		{"AB", "2", true, "2"},
		{"EQUALS", "a=b=", true, "a=b="},
		{"EMPTY", "", true, "else"},
		{"B", "", false, "else"},
		{"a", "", false, "else"},
		{"NONE", "", false, "else"},
	} {
		value, set := e.LookupEnv(test.name)
		require.Equal(t, test.value, value, test.name)
		require.Equal(t, test.set, set, test.name)
		require.Equal(t, test.get, e.Get(test.name, "else"), test.name)
	}
	require.Equal(t, []string(e), e.Environ())
	require.Equal(t, "else", env.Env(nil).Get("A", "else"))
}

func TestTaskQueue(t *testing.T) {
	t.Parallel()
	require.Equal(t, "atlas-provisioning", env.Env{}.TaskQueue())
	require.Equal(t, "atlas-provisioning", env.Env{"TEMPORAL_TASK_QUEUE="}.TaskQueue())
	require.Equal(t, "mine", env.Env{"TEMPORAL_TASK_QUEUE=mine"}.TaskQueue())
}

func TestTemporalOptions(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "temporal.toml")
	require.NoError(t, os.WriteFile(file, []byte(`
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
`), 0o600))
	broken := filepath.Join(t.TempDir(), "broken.toml")
	require.NoError(t, os.WriteFile(broken, []byte("[profile.default\napi_key = \"key-of-the-profile\""), 0o600))

	const cannot = "the Temporal client configuration (TEMPORAL_… variables and profile) cannot be used: "
	for _, test := range []struct {
		name               string
		env                env.Env
		address, namespace string
		tls, credentials   bool
		serverName, err    string
	}{
		{name: "nothing", address: "localhost:7233", namespace: "default"},
		{name: "empty", env: env.Env{"TEMPORAL_ADDRESS=", "TEMPORAL_NAMESPACE="}, address: "localhost:7233",
			namespace: "default"},
		{name: "variables", env: env.Env{"TEMPORAL_ADDRESS=temporal:7233", "TEMPORAL_NAMESPACE=n"},
			address: "temporal:7233", namespace: "n"},
		{name: "an API key speaks TLS", env: env.Env{"TEMPORAL_ADDRESS=a:1", "TEMPORAL_API_KEY=secret"},
			address: "a:1", namespace: "default", tls: true, credentials: true},
		{name: "TLS", env: env.Env{"TEMPORAL_TLS=true", "TEMPORAL_TLS_SERVER_NAME=s"}, address: "localhost:7233",
			namespace: "default", tls: true, serverName: "s"},
		{name: "no file", env: env.Env{"TEMPORAL_CONFIG_FILE=" + file + ".none"}, address: "localhost:7233",
			namespace: "default"},
		{name: "the default profile", env: env.Env{"TEMPORAL_CONFIG_FILE=" + file},
			address: "default.example.com:7233", namespace: "default"},
		{name: "a profile", env: env.Env{"TEMPORAL_CONFIG_FILE=" + file, "TEMPORAL_PROFILE=cloud"},
			address: "a.b.tmprl.cloud:7233", namespace: "a.b", tls: true, credentials: true},
		{name: "a variable wins",
			env:     env.Env{"TEMPORAL_CONFIG_FILE=" + file, "TEMPORAL_PROFILE=cloud", "TEMPORAL_NAMESPACE=n"},
			address: "a.b.tmprl.cloud:7233", namespace: "n", tls: true, credentials: true},
		{name: "part of a profile", env: env.Env{"TEMPORAL_CONFIG_FILE=" + file, "TEMPORAL_PROFILE=partly"},
			address: "localhost:7233", namespace: "partly"},
		{name: "a profile's TLS", env: env.Env{"TEMPORAL_CONFIG_FILE=" + file, "TEMPORAL_PROFILE=tls"},
			address: "localhost:7233", namespace: "default", tls: true, serverName: "temporal.internal"},

		{name: "no such profile", env: env.Env{"TEMPORAL_CONFIG_FILE=" + file, "TEMPORAL_PROFILE=test"},
			err: "unable to find profile test in config data"},
		{name: "a broken file", env: env.Env{"TEMPORAL_CONFIG_FILE=" + broken},
			err: "failed parsing config: toml: line 2 is wrong (not shown, since it may hold a key)"},
		{name: "a folder", env: env.Env{"TEMPORAL_CONFIG_FILE=" + filepath.Dir(file)},
			err: "failed reading file at " + filepath.Dir(file) + ": read " + filepath.Dir(file) + ": is a directory"},
		{name: "half a certificate", env: env.Env{"TEMPORAL_TLS_CLIENT_KEY_DATA=secret"},
			err: "invalid TLS config: if either client cert or key data is present, other must be present too"},
		{name: "no certificate",
			env: env.Env{"TEMPORAL_TLS_CLIENT_KEY_DATA=secret", "TEMPORAL_TLS_CLIENT_CERT_DATA=cert"},
			err: "invalid TLS config: failed loading client cert/key data: tls: failed to find any PEM data in certificate input"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			// It comes first, so that a setting of the test wins.
			o, err := append(env.Env{"TEMPORAL_CONFIG_FILE=" + os.DevNull}, test.env...).TemporalOptions()
			if test.err != "" {
				require.EqualError(t, err, cannot+test.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.address, o.HostPort)
			require.Equal(t, test.namespace, o.Namespace)
			require.Equal(t, test.credentials, o.Credentials != nil, "credentials")
			require.Equal(t, test.tls, o.ConnectionOptions.TLS != nil, "TLS")
			if test.serverName != "" {
				require.Equal(t, &tls.Config{ServerName: test.serverName}, o.ConnectionOptions.TLS)
			}
		})
	}
}
