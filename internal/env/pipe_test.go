//go:build unix

package env_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each file is read once, so that it can be a pipe.
func TestTemporalOptionsFromPipes(t *testing.T) {
	t.Parallel()
	certificate, key := keyPair(t)
	pipe := func(text string) string {
		path := filepath.Join(t.TempDir(), "pipe")
		require.NoError(t, syscall.Mkfifo(path, 0o600))
		go func() {
			if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil { // waits for the reader
				_, _ = f.WriteString(text)
				_ = f.Close()
			}
		}()
		return path
	}
	o, err := cleanEnv("TEMPORAL_CONFIG_FILE="+pipe("[profile.default]\nnamespace = \"from-a-pipe\"\n"),
		"TEMPORAL_TLS_CLIENT_CERT_PATH="+pipe(certificate), "TEMPORAL_TLS_CLIENT_KEY_PATH="+pipe(key),
		"TEMPORAL_TLS_SERVER_CA_CERT_PATH="+pipe(certificate)).TemporalOptions()
	require.NoError(t, err)
	require.Equal(t, "from-a-pipe", o.Namespace)
	require.Len(t, o.ConnectionOptions.TLS.Certificates, 1)
	require.NotNil(t, o.ConnectionOptions.TLS.RootCAs)
}
