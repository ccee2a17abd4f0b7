package starter

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// broken takes nothing.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// runBroken runs the program with a standard output that takes nothing.
func runBroken(t *testing.T, environ []string, args ...string) output {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience)
	defer cancel()
	var stderr bytes.Buffer
	code := Run(ctx, args, environ, strings.NewReader(""), broken{}, &stderr)
	return output{code: code, stderr: stderr.String()}
}

const unwritten = "starter: standard output cannot be written: io: read/write on closed pipe"

// A standard output that takes nothing is an error of every command that prints, whatever it prints.
func TestStandardOutput(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		nil, {"--help"}, {"help"}, {"help", "list"}, {"provision-flex", "--help"}, {"--version"},
		{"completion", "bash"}, {"completion", "zsh"}, {"completion", "fish"}, {"completion", "powershell"},
		{"__complete", "list", "--state", ""},
		well("--dry-run"), well("--dry-run", "-o", "json"),
		{"provision-flex", "--dry-run", "-f", write(t, "clusters.yaml", ordersYAML)},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			out := runBroken(t, nowhere, args...)
			require.Equal(t, 4, out.code)
			require.True(t, strings.HasSuffix(out.stderr, unwritten+"\n"), out.stderr)
		})
	}
	t.Run("a mistake in JSON", func(t *testing.T) {
		t.Parallel()
		out := runBroken(t, nowhere, well("--name", "-", "-o", "json")...)
		require.Equal(t, 4, out.code)
		require.Contains(t, out.stderr, "nothing was started:\n  --name must begin with a letter or digit")
		require.True(t, strings.HasSuffix(out.stderr, unwritten+"\n"), out.stderr)
	})
	t.Run("nothing to print", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, 2, runBroken(t, nowhere, "list", "--limit", "0").code)
	})
}

// What was done is not lost with the output that tells of it.
func TestStandardOutputOfARun(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	hint := unwritten + ". What it says can be read again with: starter status " + s.clusterID() + "\n"
	for _, args := range [][]string{
		s.flags("provision-flex"), s.flags("provision-flex", "--wait"), s.flags("provision-flex", "--wait", "-o",
			"json"),
		{"result", s.clusterID()}, {"watch", s.clusterID(), "-o", "json"}, {"status", s.clusterID()},
	} {
		out := runBroken(t, s.env, args...)
		require.Equal(t, 4, out.code, "%q: %s", args, out.stderr)
		require.True(t, strings.HasSuffix(out.stderr, hint), out.stderr)
	}
	for _, args := range [][]string{
		{"list"}, {"list", "-o", "json"}, {"watch", s.clusterID(), s.clusterID()},
		{"provision-flex", "-f", s.file("orders")}, {"provision-flex", "-f", s.file("orders"), "--wait", "-o", "json"},
	} {
		out := runBroken(t, s.env, args...)
		require.Equal(t, 4, out.code, "%q: %s", args, out.stderr)
		require.True(t, strings.HasSuffix(out.stderr, unwritten+". 'starter list' shows what there is\n"), out.stderr)
	}
	require.Equal(
		t,
		output{stdout: strings.Replace(created, "CREATED", "UNCHANGED", 1)},
		s.run("result", s.clusterID()),
	)
	require.Equal(t, 1, s.sim.Count(atlassim.Created))
}

// A provider is written the same way in a flag and in a file, as the contract has it.
func TestProviderInLowerCase(t *testing.T) {
	t.Parallel()
	const problem = `must be AWS, AZURE or GCP, got "aws"`
	require.Equal(t, output{code: 2, stderr: "starter: nothing was started:\n  --provider " + problem + "\n"},
		run(nowhere, well("--provider", "aws")...))
	require.Equal(
		t,
		output{
			code: 2,
			stderr: "starter: nothing was started:\n  standard input:3: document 1: " +
				"providerSettings.backingProviderName " + problem + "\n",
		},
		runWith(strings.Replace(ordersYAML, "AWS", "aws", 1), nowhere, "provision-flex", "-f-"),
	)
}

// A setting that means nothing is refused by its name before Temporal is dialled, also where nothing would be sent.
func TestSettingsOfADryRun(t *testing.T) {
	t.Parallel()
	file := write(t, "clusters.yaml", ordersYAML)
	for _, setting := range []string{
		"TEMPORAL_TASK_QUEUE=q ", "TEMPORAL_UI_URL=ui.example.com", "TEMPORAL_UI_URL=http://ui:99999",
		"TEMPORAL_PAYLOAD_KEYS=hush",
	} {
		name, _, _ := strings.Cut(setting, "=")
		for _, args := range [][]string{
			{"list"}, well("--dry-run"), {"provision-flex", "--dry-run", "-f", file}, {"provision-flex", "-f", file},
		} {
			out := run(append(slices.Clone(nowhere), setting), args...)
			require.Equal(t, 2, out.code, "%q %q", setting, args)
			require.Empty(t, out.stdout)
			require.True(t, strings.HasPrefix(out.stderr, "starter: "+name+" "), out.stderr)
		}
	}
}
