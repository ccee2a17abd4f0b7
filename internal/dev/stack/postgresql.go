//go:build unix

package stack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
)

// PostgreSQLServer is a Temporal server as docker-compose.yml runs it, on a PostgreSQL of its own: the version, the
// set-up scripts and the dynamic configuration are the same.
type PostgreSQLServer struct {
	stack    *Stack
	folders  PostgreSQLFolders
	address  string // of PostgreSQL
	password string
	user     *syscall.Credential // whom PostgreSQL runs as; nil for ourselves
	env      []string            // of the Temporal server and its tools
}

// PostgreSQLFolders are where the programs and scripts are that a PostgreSQLServer runs.
type PostgreSQLFolders struct {
	// PostgreSQL holds initdb, postgres and pg_isready.
	PostgreSQL string
	// Server holds temporal-server and temporal-sql-tool.
	Server string
	// Compose holds temporal-schema.sh, temporal-namespace.sh and temporal-dynamic-config.yaml.
	Compose string
}

const postgresLog = "postgresql"

// The connections of the Temporal server, as in docker-compose.yml.
const (
	services            = 4  // that the server runs: frontend, history, matching and worker
	poolSize            = 20 // of each service
	visibilityPoolSize  = 10 // of each service as well
	sparePostgreSQL     = 30 // connections for the schema tool, PostgreSQL itself and a look by hand
	postgresConnections = services*(poolSize+visibilityPoolSize) + sparePostgreSQL
)

// frontendPort is the variable of the port that clients use, in the server's configuration template.
const frontendPort = "FRONTEND_GRPC_PORT"

// otherPorts are the variables of the server's other ports. Each server has its own, so that two can run beside one
// another, and beside a Temporal of the user's.
var otherPorts = []string{
	"FRONTEND_HTTP_PORT", "FRONTEND_MEMBERSHIP_PORT", "MATCHING_GRPC_PORT", "MATCHING_MEMBERSHIP_PORT",
	"HISTORY_GRPC_PORT", "HISTORY_MEMBERSHIP_PORT", "WORKER_GRPC_PORT", "WORKER_MEMBERSHIP_PORT",
}

// NewPostgreSQLServer returns a server that answers at the stack's Temporal address.
func NewPostgreSQLServer(s *Stack, folders PostgreSQLFolders) (*PostgreSQLServer, error) {
	addresses, err := process.FreeAddresses(make([]string, 1+len(otherPorts))...)
	if err != nil {
		return nil, err
	}
	p := &PostgreSQLServer{stack: s, folders: folders, address: addresses[0], password: rand.Text()}
	if err := p.setEnv(addresses[1:]); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		if p.user, err = credential("postgres"); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// setEnv tells each of the server's tools the same, in its own words. The programs of the user's PATH come last.
func (p *PostgreSQLServer) setEnv(otherAddresses []string) error {
	server, err := filepath.Abs(p.folders.Server)
	if err != nil {
		return err
	}
	cli, err := filepath.Abs(p.stack.TemporalCLI)
	if err != nil {
		return err
	}
	dynamicConfig, err := filepath.Abs(p.dynamicConfig())
	if err != nil {
		return err
	}
	database := port(p.address)
	path := []string{server, filepath.Dir(cli), os.Getenv("PATH")}
	p.env = []string{
		"HOME=" + p.stack.Folder,
		"PATH=" + strings.Join(path, string(os.PathListSeparator)),
		// For temporal-sql-tool.
		"SQL_PLUGIN=postgres12", "SQL_HOST=127.0.0.1", "SQL_PORT=" + database,
		"SQL_USER=temporal", "SQL_PASSWORD=" + p.password,
		// For temporal.
		"TEMPORAL_ADDRESS=" + p.stack.TemporalAddress, "TEMPORAL_NAMESPACE=default",
		"TEMPORAL_CONFIG_FILE=" + os.DevNull, "RETENTION=7d",
		// For temporal-server.
		"LOG_LEVEL=warn", "DB=postgres12", "POSTGRES_SEEDS=127.0.0.1",
		"DB_PORT=" + database, "POSTGRES_USER=temporal", "POSTGRES_PWD=" + p.password,
		"SQL_MAX_CONNS=" + strconv.Itoa(poolSize), "SQL_VIS_MAX_CONNS=" + strconv.Itoa(visibilityPoolSize),
		"TEMPORAL_BROADCAST_ADDRESS=127.0.0.1", "DYNAMIC_CONFIG_FILE_PATH=" + dynamicConfig,
		"TEMPORAL_ALLOW_NO_AUTH=true",
		frontendPort + "=" + port(p.stack.TemporalAddress),
	}
	for i, name := range otherPorts {
		p.env = append(p.env, name+"="+port(otherAddresses[i]))
	}
	return nil
}

func port(address string) string {
	_, port, _ := net.SplitHostPort(address) // an address that we chose
	return port
}

// credential is a user as whom programs can run.
func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to run as root, and there is no other user for it: %w; "+
			"install Debian's package postgresql", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// Start makes a database, and starts PostgreSQL and the Temporal server.
func (p *PostgreSQLServer) Start(ctx context.Context) error {
	for _, name := range []string{"temporal-server", "temporal-sql-tool"} {
		if _, err := os.Stat(filepath.Join(p.folders.Server, name)); err != nil {
			return fmt.Errorf("%w; run make bin/temporal-server first", err)
		}
	}
	if err := p.checkDynamicConfig(ctx); err != nil {
		return err
	}
	if err := p.initdb(ctx); err != nil {
		return err
	}
	if err := p.startPostgreSQL(ctx); err != nil {
		return err
	}
	if err := p.runScript(ctx, "temporal-schema"); err != nil {
		return err
	}
	if err := p.startServer(ctx); err != nil {
		return err
	}
	return p.runScript(ctx, "temporal-namespace")
}

func (p *PostgreSQLServer) dynamicConfig() string {
	return filepath.Join(p.folders.Compose, "temporal-dynamic-config.yaml")
}

// checkDynamicConfig finds what the server would only warn of, and then do without.
func (p *PostgreSQLServer) checkDynamicConfig(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, p.server(), "validate-dynamic-config", p.dynamicConfig())
	out, err := cmd.CombinedOutput()
	if err == nil && strings.Contains(string(out), "warning:") {
		err = errors.New("it has warnings")
	}
	if err != nil {
		return fmt.Errorf("the server's dynamic configuration: %w:\n%s", err, out)
	}
	return nil
}

func (p *PostgreSQLServer) server() string { return filepath.Join(p.folders.Server, "temporal-server") }

// runScript runs one of docker-compose.yml's set-up scripts.
func (p *PostgreSQLServer) runScript(ctx context.Context, name string) error {
	cmd := exec.Command("sh", filepath.Join(p.folders.Compose, name+".sh"))
	cmd.Env = p.env
	return p.stack.Run(ctx, name, cmd)
}

func (p *PostgreSQLServer) startServer(ctx context.Context) error {
	cmd := exec.Command(p.server(), "start")
	cmd.Env = p.env
	return p.stack.Start(ctx, temporalLog, cmd, p.stack.answers)
}

// initdb makes a database cluster with one user, temporal.
func (p *PostgreSQLServer) initdb(ctx context.Context) error {
	// The user as whom PostgreSQL runs must reach PostgreSQL's own folders, and reads nothing else.
	if err := os.Chmod(p.stack.Folder, 0o711); err != nil {
		return err
	}
	passwordFile := p.stack.Path("postgresql-password")
	if err := os.WriteFile(passwordFile, []byte(p.password), 0o600); err != nil {
		return err
	}
	defer os.Remove(passwordFile)
	if err := os.Mkdir(p.data(), 0o700); err != nil {
		return err
	}
	if p.user != nil {
		for _, path := range []string{passwordFile, p.data()} {
			if err := os.Chown(path, int(p.user.Uid), int(p.user.Gid)); err != nil {
				return err
			}
		}
	}
	return p.stack.Run(ctx, "initdb", p.command("initdb", "--pgdata", p.data(), "--username", "temporal",
		"--pwfile", passwordFile, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale"))
}

// startPostgreSQL starts PostgreSQL, which after a kill first recovers what was committed. Processes of the one that
// was killed live on for a moment. Until they end, a new one refuses to start, and is started again.
func (p *PostgreSQLServer) startPostgreSQL(ctx context.Context) error {
	host, port, err := net.SplitHostPort(p.address)
	if err != nil {
		return err
	}
	launch := func() (*process.Process, error) {
		return p.stack.Launch(postgresLog, p.command("postgres", "-D", p.data(),
			"-c", "listen_addresses="+host, "-c", "port="+port, "-c", "unix_socket_directories=",
			"-c", "max_connections="+strconv.Itoa(postgresConnections)))
	}
	running, err := launch()
	if err != nil {
		return err
	}
	return p.stack.waitReady(ctx, postgresLog, func(ctx context.Context) bool {
		if running.Ended() {
			if next, err := launch(); err == nil {
				running = next
			}
			return false // its log says why it ended
		}
		isReady := filepath.Join(p.folders.PostgreSQL, "pg_isready")
		return exec.CommandContext(ctx, isReady, "--quiet", "--host", host, "--port", port).Run() == nil
	})
}

func (p *PostgreSQLServer) data() string { return p.stack.Path("postgresql") }

// command runs one of PostgreSQL's programs.
func (p *PostgreSQLServer) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.folders.PostgreSQL, name), args...)
	cmd.Dir = p.data() // a folder that its user can enter
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	if p.user != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.user}
	}
	return cmd
}

// Restart kills the Temporal server or PostgreSQL, and starts it again.
func (p *PostgreSQLServer) Restart(ctx context.Context, part Part) error {
	switch part {
	case TemporalServer:
		p.stack.Kill(temporalLog)
		return p.startServer(ctx)
	case Database:
		p.stack.Kill(postgresLog)
		return p.startPostgreSQL(ctx)
	}
	return fmt.Errorf("a Temporal server on PostgreSQL has no part %q", part)
}
