//go:build unix

package stack

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// newTestStack returns a stack that is stopped, and whose folder is removed, at the end of the test.
func newTestStack(t *testing.T) *Stack {
	t.Helper()
	s, err := New("bin", "bin/temporal")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(s.Folder)) })
	t.Cleanup(s.Stop)
	return s
}

// Each port of the server is its own and no default.
func TestPostgreSQLServerPorts(t *testing.T) {
	s := newTestStack(t)
	p, err := NewPostgreSQLServer(s, PostgreSQLFolders{})
	require.NoError(t, err)
	variables := map[string]string{}
	ports := map[string]string{}
	for _, variable := range p.env {
		name, value, _ := strings.Cut(variable, "=")
		variables[name] = value
		if strings.HasSuffix(name, "_PORT") && !strings.Contains(name, "DB") && name != "SQL_PORT" {
			require.Empty(t, ports[value], "%s and %s are both %s", name, ports[value], value)
			ports[value] = name
		}
	}
	require.Len(t, ports, 1+len(otherPorts))
	require.Equal(t, port(s.TemporalAddress), variables["FRONTEND_GRPC_PORT"])
	require.NotContains(t, ports, port(p.address))
	for _, name := range []string{"SQL_PORT", "DB_PORT"} {
		require.Equal(t, port(p.address), variables[name], "%s is the port of PostgreSQL", name)
	}
}

// fakePostgreSQL runs a script in the place of PostgreSQL, which is ready once the script has made the file ready.
// Its tests are not parallel: a program that another test starts would hold these files open for a moment, and a file
// that is open for writing cannot be run.
func fakePostgreSQL(t *testing.T, script string) *PostgreSQLServer {
	t.Helper()
	bin := t.TempDir()
	for name, script := range map[string]string{"postgres": script, "pg_isready": "test -f " + bin + "/ready"} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	s := newTestStack(t)
	p := &PostgreSQLServer{stack: s, folders: PostgreSQLFolders{PostgreSQL: bin}, address: "127.0.0.1:5"}
	require.NoError(t, os.Mkdir(p.data(), 0o700))
	return p
}

// Processes of a PostgreSQL that was killed live on for a moment, and until they end a new one refuses to start.
func TestPostgreSQLIsStartedUntilItRuns(t *testing.T) {
	p := fakePostgreSQL(t, `cd "$(dirname "$0")"
echo x >>starts
test "$(wc -l <starts)" -gt 3 || exit 1
touch ready
exec sleep 600`)
	require.NoError(t, p.startPostgreSQL(t.Context()))
	starts, err := os.ReadFile(filepath.Join(p.folders.PostgreSQL, "starts"))
	require.NoError(t, err)
	require.Equal(t, "x\nx\nx\nx\n", string(starts))
	first := p.stack.Process(postgresLog)
	require.False(t, first.Ended(), "the process that the stack knows is the one that runs")

	require.NoError(t, p.Restart(t.Context(), Database))
	<-first.Done
	require.EqualError(t, first.Err, "signal: killed")
	second := p.stack.Process(postgresLog)
	require.NotSame(t, first, second)
	p.stack.Stop()
	<-second.Done
}

func TestPostgreSQLDoesNotStart(t *testing.T) {
	p := fakePostgreSQL(t, "echo no space left; exit 1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := p.startPostgreSQL(ctx)
	require.ErrorContains(t, err, "postgresql does not start: ")
	require.ErrorContains(t, err, "    no space left")
}

func TestPostgreSQLServerIsNotBuilt(t *testing.T) {
	p := fakePostgreSQL(t, "")
	p.folders.Server = filepath.Join(p.folders.PostgreSQL, "nothing")
	require.ErrorContains(t, p.Start(t.Context()), "no such file or directory; run make bin/temporal-server first")
}

// The server itself would only warn of a key that it does not know, and run without what the key stands for.
func TestDynamicConfigHasWarnings(t *testing.T) {
	p := fakePostgreSQL(t, "")
	p.folders.Server, p.folders.Compose = p.folders.PostgreSQL, "compose"
	for _, name := range []string{"temporal-server", "temporal-sql-tool"} {
		script := "#!/bin/sh\necho \"$1 $2\"; echo \"  warning: unregistered key\"\n"
		require.NoError(t, os.WriteFile(filepath.Join(p.folders.Server, name), []byte(script), 0o700))
	}
	require.EqualError(t, p.Start(t.Context()), "the server's dynamic configuration: it has warnings:\n"+
		"validate-dynamic-config compose/temporal-dynamic-config.yaml\n  warning: unregistered key\n")
}

func TestPostgreSQLHasNoUser(t *testing.T) {
	_, err := credential("nobody-of-that-name")
	require.EqualError(t, err, "PostgreSQL refuses to run as root, and there is no other user for it: "+
		"user: unknown user nobody-of-that-name; install Debian's package postgresql")
}

func TestUnknownPart(t *testing.T) {
	p := fakePostgreSQL(t, "")
	require.EqualError(t, p.Restart(t.Context(), "disk"), `a Temporal server on PostgreSQL has no part "disk"`)
	d := DevServer{Stack: p.stack}
	require.EqualError(t, d.Restart(t.Context(), Database), `a dev server has no part "PostgreSQL"`)
}
