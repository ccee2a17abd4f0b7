//go:build unix

package main

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// onPostgreSQL are folders that make a campaign one on PostgreSQL.
var onPostgreSQL = stack.PostgreSQLFolders{PostgreSQL: "/usr/bin"}

// This is the short form of `make chaos`: the same trouble, for about a minute.
func TestShortCampaign(t *testing.T) {
	t.Parallel()
	cli, err := testenv.CLI()
	require.NoError(t, err)
	bin := t.TempDir()
	build := exec.Command("go", "build", "-race", "-o", bin+"/", "./cmd/...")
	build.Dir = "../../.."
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	var table bytes.Buffer
	r, err := runCampaign(t.Context(), options{
		seed: 1, provisions: 30, upgrades: 8, taken: 4, lives: 4, leases: 2, workers: 3, faults: 0.22, serverKills: 1,
		bin: bin, temporalCLI: cli,
	}, &table)
	require.NoError(t, err, table.String())
	require.False(t, r.lost(), table.String())
	for _, v := range verbs {
		require.Positive(t, r.verbs[v], "%s: the operator did it to no run: %s", v, table.String())
	}
	t.Log("\n" + table.String())
}

func TestReportOfALoss(t *testing.T) {
	t.Parallel()
	r := &report{options: options{seed: 7}, took: time.Second}
	require.False(t, r.lost())
	r.lose("%s: nobody asked for it", "project/cluster")
	require.True(t, r.lost())
	var table bytes.Buffer
	r.print(&table)
	require.NotContains(t, table.String(), "PostgreSQL")
	require.Contains(t, lines(table), "Temporal server a dev server, killed 0 times")
	require.Contains(t, lines(table), "operator: runs reset 0")
	require.Contains(t, table.String(), "\n  LOST project/cluster: nobody asked for it\n")
}

func TestReportOnPostgreSQL(t *testing.T) {
	t.Parallel()
	r := &report{
		options:   options{postgres: onPostgreSQL},
		partKills: map[stack.Part]int{stack.TemporalServer: 2, stack.Database: 1},
		verbs:     map[verb]int{pauseActivity: 3},
	}
	var table bytes.Buffer
	r.print(&table)
	require.Contains(t, lines(table), "Temporal server on PostgreSQL, killed 2 times")
	require.Contains(t, lines(table), "PostgreSQL killed 1 times")
	require.Contains(t, lines(table), "operator: activities paused 3")
}

// lines are those of a table, with one space between words.
func lines(table bytes.Buffer) (out []string) {
	for line := range strings.Lines(table.String()) {
		out = append(out, strings.Join(strings.Fields(line), " "))
	}
	return out
}

func TestPlannedKills(t *testing.T) {
	t.Parallel()
	require.Equal(t, []stack.Part{stack.TemporalServer, stack.TemporalServer},
		plannedKills(options{seed: 1, serverKills: 2}), "a dev server has no database to kill")
	databaseAt := map[int]bool{}
	for seed := range uint64(20) {
		o := options{seed: seed, serverKills: 2, postgres: onPostgreSQL}
		order := plannedKills(o)
		require.ElementsMatch(t, []stack.Part{stack.TemporalServer, stack.TemporalServer, stack.Database}, order)
		require.Equal(t, order, plannedKills(o), "the same seed gives the same order")
		databaseAt[slices.Index(order, stack.Database)] = true
	}
	require.Len(t, databaseAt, 3, "some seed kills PostgreSQL first, some second and some last")
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
