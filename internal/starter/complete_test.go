package starter

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// The shell asks the program what may follow: ids come from Temporal.
func TestCompleteIDs(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	require.Equal(t, 0, s.run(s.flags("provision-flex", "--name", "done", "--wait")...).code)
	idle := s.queue
	s.env = append(s.env, "TEMPORAL_TASK_QUEUE="+idle+"-none")
	require.Equal(t, 0, s.run(s.flags("provision-flex")...).code)

	const (
		noFiles = ":4\nCompletion ended with directive: ShellCompDirectiveNoFileComp\n"
		ordered = ":36\n"
		done    = "atlas-cluster-PROJECT-done\tCOMPLETED IDLE\n"
		orders  = "atlas-cluster-PROJECT-orders\tRUNNING\n"
	)
	begun := "atlas-cluster-" + s.project
	offers := func(want string, args ...string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			out := s.run(append([]string{"__complete"}, args...)...)
			assert.Equal(c, 0, out.code)
			assert.Equal(c, want+ordered, out.stdout)
		}, testenv.Patience, refreshInterval)
	}
	for _, command := range []string{"status", "watch", "result"} {
		offers(orders+done, command, begun)
	}
	offers(orders, "cancel", begun)
	offers(orders, "extend", begun)
	offers(orders, "status", begun+"-o")
	offers(orders, "watch", begun+"-done", begun)
	offers("", "status", "no-such")
	for _, args := range [][]string{{"status", "x", begun}, {"status", "'"}, {"provision-flex", ""}, {"list", ""},
		{"list", "--limit", ""}, {"list", "--project-id", ""}} {
		out := s.run(append([]string{"__complete"}, args...)...)
		require.Equal(t, noFiles, out.stdout+out.stderr, "%q", args)
	}
	out := run(nowhere, "__complete", "status", "")
	require.Equal(
		t,
		output{stdout: ":1\n", stderr: "Completion ended with directive: ShellCompDirectiveError\n"},
		out,
		"without Temporal there is nothing to offer",
	)
}

func TestCompleteFlags(t *testing.T) {
	t.Parallel()
	const states = "IDLE\nCREATING\nUPDATING\nDELETING\nREPAIRING\n:4\n" // the shell picks what fits
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"list", "--output", ""}, "text\njson\n:4\n"},
		{[]string{"list", "--state", "C"}, states},
		{[]string{"watch", "--state", ""}, states},
		{[]string{"list", "--status", ""}, "RUNNING\nCOMPLETED\nFAILED\nCANCELED\nTERMINATED\nTIMED_OUT\n:4\n"},
		{[]string{"provision-flex", "--provider", ""}, "AWS\nAZURE\nGCP\n:4\n"},
		{[]string{"upgrade-to-serverless", "--region", ""}, ":4\n"},
		{[]string{"provision-flex", "-f", ""}, "yaml\nyml\njson\n:8\n"},
		{[]string{"st"}, "status\tShow how a workflow stands\n:4\n"},
	} {
		out := run(nowhere, append([]string{"__complete"}, test.args...)...)
		require.Equal(t, test.want, out.stdout, "%q", test.args)
		require.Equal(t, 0, out.code)
	}
}

// The script itself is cobra's.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		out := run(nowhere, "completion", shell)
		require.Equal(t, 0, out.code)
		require.Contains(t, out.stdout, "__complete")
		require.Empty(t, out.stderr)
	}
}
