//go:build unix

package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCrashes(t *testing.T) {
	t.Parallel()
	require.Equal(t, []part{serverPart, serverPart}, crashes(options{seed: 1, restarts: 2}), "a dev server has no database to kill")
	orders := map[string]bool{}
	for seed := range uint64(20) {
		o := options{seed: seed, restarts: 2, postgres: "/usr/bin"}
		order := crashes(o)
		require.ElementsMatch(t, []part{serverPart, serverPart, databasePart}, order)
		require.Equal(t, order, crashes(o), "the same seed, the same order")
		var names []string
		for _, p := range order {
			names = append(names, string(p))
		}
		orders[strings.Join(names, ", ")] = true
	}
	require.Len(t, orders, 3, "PostgreSQL first, second and last: %v", orders)
}

// Not beside the campaign, which is given addresses from the same range.
func TestFreeAddresses(t *testing.T) {
	addresses, err := freeAddresses(20)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		require.NoError(t, err)
		defer func() { require.NoError(t, l.Close()) }()
		seen[address] = true
	}
	require.Len(t, seen, 20)
}

// Each port of the server is its own and no default, so that two campaigns run
// beside one another, and beside a Temporal of the user's.
func TestPostgresServerPorts(t *testing.T) {
	t.Parallel()
	p := &postgresServer{folder: folder(t.TempDir()), database: "127.0.0.1:5"}
	addresses, err := freeAddresses(len(serverPorts))
	require.NoError(t, err)
	require.NoError(t, p.setEnv(addresses))
	ports := map[string]string{}
	for _, variable := range p.env {
		if name, port, _ := strings.Cut(variable, "="); strings.HasSuffix(name, "_PORT") && !strings.Contains(name, "DB") && name != "SQL_PORT" {
			require.Empty(t, ports[port], "%s and %s are both %s", name, ports[port], port)
			ports[port] = name
		}
	}
	require.Len(t, ports, len(serverPorts))
	require.Contains(t, p.env, "SQL_PORT=5")
	require.Contains(t, p.env, "DB_PORT=5")
	require.Contains(t, p.env, "VISIBILITY_DB_PORT=5", "the template's default is not DB_PORT")
}

// fakePostgres is a folder of programs that take PostgreSQL's place. Its tests
// are not parallel: a program that another test starts would hold these files
// open for a moment, and one that is open for writing cannot be run.
func fakePostgres(t *testing.T, postgres string) *postgresServer {
	t.Helper()
	bin := t.TempDir()
	for name, script := range map[string]string{"postgres": postgres, "pg_isready": "test -f " + bin + "/ready"} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	p := &postgresServer{folder: folder(t.TempDir()), database: "127.0.0.1:5", o: options{postgres: bin}}
	require.NoError(t, os.Mkdir(p.data(), 0o700))
	t.Cleanup(p.stop)
	return p
}

// What a killed PostgreSQL leaves behind ends a moment later, and until then a
// new one refuses to start.
func TestPostgresStartsAgain(t *testing.T) {
	p := fakePostgres(t, `cd "$(dirname "$0")"; echo x >>starts; test "$(wc -l <starts)" -gt 3 || exit 1; touch ready; exec sleep 600`)
	require.NoError(t, p.startPostgres(t.Context()))
	starts, err := os.ReadFile(filepath.Join(p.o.postgres, "starts"))
	require.NoError(t, err)
	require.Equal(t, "x\nx\nx\nx\n", string(starts))
	select {
	case <-p.postgres.Done:
		t.Fatal("the one that runs is not the one we hold")
	default:
	}

	first := p.postgres
	require.NoError(t, p.crash(t.Context(), databasePart))
	<-first.Done
	require.EqualError(t, first.Err, "signal: killed")
	require.NotSame(t, first, p.postgres)
	p.stop()
	<-p.postgres.Done
}

func TestPostgresDoesNotStart(t *testing.T) {
	p := fakePostgres(t, "echo no space left; exit 1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := p.startPostgres(ctx)
	require.ErrorContains(t, err, "postgresql does not start: ")
	require.ErrorContains(t, err, "    no space left")
}

func TestPostgresNeeds(t *testing.T) {
	p := fakePostgres(t, "")
	p.o.server = filepath.Join(p.o.postgres, "nothing")
	require.ErrorContains(t, p.start(t.Context()), "no such file or directory; run make bin/temporal-server first")
	_, err := credential("nobody-of-that-name")
	require.EqualError(t, err, "PostgreSQL refuses to run as root, and there is no other user for it: "+
		"user: unknown user nobody-of-that-name; install Debian's package postgresql")
}
