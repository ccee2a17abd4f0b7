//go:build unix

package main

import (
	"bytes"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/temporaltest"
)

// The short form of `make chaos`: the same trouble, for about a minute.
func TestShortCampaign(t *testing.T) {
	t.Parallel()
	cli, err := temporaltest.CLI()
	require.NoError(t, err)
	bin := t.TempDir()
	out, err := exec.Command("go", "build", "-race", "-o", bin+"/", "../../cmd/worker", "../../cmd/starter", "../../cmd/atlas-sim").CombinedOutput()
	require.NoError(t, err, string(out))
	var table bytes.Buffer
	lost, err := campaign(t.Context(), options{
		seed: 1, provisions: 30, upgrades: 8, foreign: 4, workers: 3, faults: 0.22, restarts: 1,
		bin: bin, temporal: cli,
	}, &table)
	require.NoError(t, err, table.String())
	require.False(t, lost, table.String())
	t.Log("\n" + table.String())
}

// What is lost is found: a campaign that is told of one cluster too many fails.
func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	r := &report{options: options{seed: 7}, took: time.Second}
	r.lose("%s: nobody asked for it", "project/cluster")
	require.True(t, r.lost())
	var table bytes.Buffer
	r.print(&table)
	require.NotContains(t, table.String(), "PostgreSQL")
	require.Contains(t, table.String(), "Temporal server        a dev server, killed 0 times\n")
	require.Contains(t, table.String(), "lost                   1\n  LOST project/cluster: nobody asked for it\n")
}

func TestTableNamesPostgres(t *testing.T) {
	t.Parallel()
	r := &report{options: options{postgres: "/usr/bin"}, crashed: map[part]int{serverPart: 2, databasePart: 1}}
	var table bytes.Buffer
	r.print(&table)
	require.Contains(t, table.String(), "Temporal server        on PostgreSQL, killed 2 times\nPostgreSQL             killed 1 times\n")
}

func TestUsage(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	require.Equal(t, 2, run(t.Context(), []string{"-seed", "x"}, &bytes.Buffer{}, &stderr))
	require.Contains(t, stderr.String(), `invalid value "x" for flag -seed`)
	stderr.Reset()
	require.Equal(t, 1, run(t.Context(), []string{"-bin", t.TempDir()}, &bytes.Buffer{}, &stderr))
	require.Contains(t, stderr.String(), "atlas-sim is missing; run make build first")
}
