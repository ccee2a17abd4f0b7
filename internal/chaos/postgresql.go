//go:build unix

package main

import (
	"context"
	crand "crypto/rand"
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

	"github.com/atlas-provisioner/atlas-provisioner/internal/process"
)

// The server's ports, by their names in its configuration template. The
// frontend's own comes first.
var serverPorts = []string{
	"FRONTEND_GRPC_PORT", "FRONTEND_HTTP_PORT", "FRONTEND_MEMBERSHIP_PORT",
	"MATCHING_GRPC_PORT", "MATCHING_MEMBERSHIP_PORT", "HISTORY_GRPC_PORT", "HISTORY_MEMBERSHIP_PORT",
	"WORKER_GRPC_PORT", "WORKER_MEMBERSHIP_PORT",
}

// postgresServer is a Temporal server as docker-compose.yml runs it: the same
// version, the same set-up scripts and the same configuration template, on a
// PostgreSQL of its own.
type postgresServer struct {
	folder
	o        options
	address  string
	database string // address of PostgreSQL
	password string
	user     *syscall.Credential // who PostgreSQL runs as; nil for ourselves
	env      []string            // of the Temporal server and its tools

	server, postgres *process.Process
}

func newPostgresServer(o options, f folder, address string) (*postgresServer, error) {
	addresses, err := freeAddresses(len(serverPorts)) // PostgreSQL has the frontend's place
	if err != nil {
		return nil, err
	}
	p := &postgresServer{folder: f, o: o, address: address, database: addresses[0], password: crand.Text()}
	addresses[0] = address
	if err := p.setEnv(addresses); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		if p.user, err = credential("postgres"); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// setEnv says the same to each of the server's tools in its own words. The
// programs of a user's PATH come last.
func (p *postgresServer) setEnv(addresses []string) error {
	bin, err := filepath.Abs(p.o.server)
	if err != nil {
		return err
	}
	temporal, err := filepath.Abs(p.o.temporal)
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(p.database)
	p.env = []string{
		"HOME=" + string(p.folder),
		"PATH=" + strings.Join([]string{bin, filepath.Dir(temporal), os.Getenv("PATH")}, string(os.PathListSeparator)),
		// temporal-sql-tool
		"SQL_PLUGIN=postgres12", "SQL_HOST=127.0.0.1", "SQL_PORT=" + port, "SQL_USER=temporal", "SQL_PASSWORD=" + p.password,
		// temporal
		"TEMPORAL_ADDRESS=" + p.address, "TEMPORAL_NAMESPACE=default", "TEMPORAL_CONFIG_FILE=" + os.DevNull, "RETENTION=7d",
		// temporal-server
		"LOG_LEVEL=warn", "DB=postgres12", "POSTGRES_SEEDS=127.0.0.1", "DB_PORT=" + port, "VISIBILITY_DB_PORT=" + port,
		"POSTGRES_USER=temporal", "POSTGRES_PWD=" + p.password,
		"TEMPORAL_BROADCAST_ADDRESS=127.0.0.1", "DYNAMIC_CONFIG_FILE_PATH=" + p.path("dynamic.yaml"),
	}
	for i, name := range serverPorts {
		_, port, _ := net.SplitHostPort(addresses[i])
		p.env = append(p.env, name+"="+port)
	}
	return nil
}

// credential is a user that programs can be run as.
func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to run as root, and there is no other user for it: %w; install Debian's package postgresql", err)
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

func (p *postgresServer) start(ctx context.Context) error {
	for _, name := range []string{"temporal-server", "temporal-sql-tool", "docker.yaml"} {
		if _, err := os.Stat(filepath.Join(p.o.server, name)); err != nil {
			return fmt.Errorf("%w; run make bin/temporal-server first", err)
		}
	}
	if err := p.initdb(ctx); err != nil {
		return err
	}
	if err := p.startPostgres(ctx); err != nil {
		return err
	}
	if err := p.script(ctx, "temporal-schema"); err != nil {
		return err
	}
	if err := os.WriteFile(p.path("dynamic.yaml"), nil, 0o600); err != nil {
		return err
	}
	if err := p.startServer(ctx); err != nil {
		return err
	}
	return p.script(ctx, "temporal-namespace")
}

// script runs one of docker-compose.yml's set-up scripts.
func (p *postgresServer) script(ctx context.Context, name string) error {
	cmd := exec.Command("sh", filepath.Join(p.o.scripts, name+".sh"))
	cmd.Env = p.env
	return p.run(ctx, name, cmd)
}

func (p *postgresServer) startServer(ctx context.Context) error {
	cmd := exec.Command(filepath.Join(p.o.server, "temporal-server"), "--root", p.o.server, "--config", ".",
		"--env", "docker", "--allow-no-auth", "start")
	cmd.Env = p.env
	var err error
	if p.server, err = p.launch("temporal", cmd); err != nil {
		return err
	}
	return p.awaitStart(ctx, "temporal", answers(p.address))
}

// initdb makes a PostgreSQL cluster with one user, temporal.
func (p *postgresServer) initdb(ctx context.Context) error {
	// Whoever PostgreSQL runs as must get as far as its own folders, and reads
	// nothing else.
	if err := os.Chmod(string(p.folder), 0o711); err != nil {
		return err
	}
	secret := p.path("postgresql-password")
	if err := os.WriteFile(secret, []byte(p.password), 0o600); err != nil {
		return err
	}
	defer os.Remove(secret)
	if err := os.Mkdir(p.data(), 0o700); err != nil {
		return err
	}
	if p.user != nil {
		for _, path := range []string{secret, p.data()} {
			if err := os.Chown(path, int(p.user.Uid), int(p.user.Gid)); err != nil {
				return err
			}
		}
	}
	return p.run(ctx, "initdb", p.command("initdb", "--pgdata", p.data(), "--username", "temporal",
		"--pwfile", secret, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale"))
}

// startPostgres starts PostgreSQL, which after a crash first recovers what was
// committed. Its processes end a moment later than the one that was killed;
// until they have, a new one refuses to start.
func (p *postgresServer) startPostgres(ctx context.Context) error {
	host, port, _ := net.SplitHostPort(p.database)
	start := func() error {
		running, err := p.launch("postgresql", p.command("postgres", "-D", p.data(),
			"-c", "listen_addresses="+host, "-c", "port="+port, "-c", "unix_socket_directories=",
			// Each of the server's four services has a pool of 20 connections and
			// one of 10 for visibility.
			"-c", "max_connections=150"))
		if err == nil {
			p.postgres = running
		}
		return err
	}
	if err := start(); err != nil {
		return err
	}
	return p.awaitStart(ctx, "postgresql", func(ctx context.Context) bool {
		select {
		case <-p.postgres.Done:
			_ = start() // what stands in the way is in its log
			return false
		default:
		}
		return exec.CommandContext(ctx, filepath.Join(p.o.postgres, "pg_isready"), "--quiet", "--host", host, "--port", port).Run() == nil
	})
}

func (p *postgresServer) data() string { return p.path("postgresql") }

// command is one of PostgreSQL's programs.
func (p *postgresServer) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.o.postgres, name), args...)
	cmd.Dir = p.data() // the folder that it can enter, for sure
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	if p.user != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.user}
	}
	return cmd
}

func (p *postgresServer) crash(ctx context.Context, what part) error {
	switch what {
	case serverPart:
		kill(p.server)
		return p.startServer(ctx)
	case databasePart:
		kill(p.postgres)
		return p.startPostgres(ctx)
	}
	return errors.New("unknown part " + string(what))
}

func (p *postgresServer) stop() {
	stop(p.server)
	if p.postgres != nil {
		p.postgres.Signal(syscall.SIGINT) // SIGTERM alone would wait for every client
	}
	stop(p.postgres)
}
