//go:build unix

package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The examples in TypeScript and in shell start a provision, follow it, read its result, and tell a failure by its
// type.
func TestExamples(t *testing.T) {
	// The README's commands watch another project, and some of the runs here fail.
	const project = "7d3a48069be1c2d45f2b9c1e"
	t.Parallel()
	u.dependOnAllFiles(t)
	typescript := filepath.Join(u.root, "examples", "typescript")
	_, err := os.Stat(filepath.Join(typescript, "node_modules"))
	require.NoError(t, err, "the example's packages are missing: run make examples")
	built := u.run(t, "npm", "run", "--prefix", typescript, "build")
	require.Zero(t, built.code, built)

	for _, example := range []struct {
		name    string
		command []string
	}{
		{"typescript", []string{"node", filepath.Join(typescript, "build", "provision.js")}},
		{"shell", []string{filepath.Join(u.root, "examples", "shell", "provision.sh")}},
	} {
		t.Run(example.name, func(t *testing.T) {
			t.Parallel()
			run := func(args ...string) result {
				return u.run(t, example.command[0], slices.Concat(example.command[1:], args)...)
			}
			name := example.name + "-orders"
			first := u.begin(t, example.command[0],
				slices.Concat(example.command[1:], []string{project, name, "AWS", "US_EAST_1"})...)
			u.holdState(t, project, name, "CREATING")
			progress := "atlas-cluster-" + project + "-" + name + ": CREATING\n"
			eventually(t,
				"the example does not show the state of the cluster",
				func() bool { return strings.Contains(first.stderr.String(), progress) },
			)
			u.holdState(t, project, name, "")
			got := first.end()
			require.Zero(t, got.code, got)
			idle := name + ` is IDLE \(%s\): mongodb\+srv://` + name + `\.\w+\.atlas-sim\.invalid\n$`
			require.Regexp(t, fmt.Sprintf(idle, "CREATED"), got.stdout)

			again := run(project, name, "AWS", "US_EAST_1")
			require.Zero(t, again.code, again)
			require.Regexp(t, fmt.Sprintf(idle, "UNCHANGED"), again.stdout)

			theirs := example.name + "-theirs"
			u.control(t, "flex", fmt.Sprintf(`{"groupId": %q, "cluster": {"name": %q,
				"providerSettings": {"backingProviderName": "AWS", "regionName": "EU_WEST_1"}}}`, project, theirs))
			got = run(project, theirs, "AWS", "US_EAST_1")
			require.Equal(t, 1, got.code, got)
			require.Empty(t, got.stdout)
			require.Contains(t, got.stderr, `CLUSTER_CONFLICT: cluster "`+theirs+`": the name is taken in this project`)
			require.Contains(t, got.stderr,
				"\n  providerSettings.regionName: requested \"US_EAST_1\", there is \"EU_WEST_1\"\n",
			)

			got = run(project, example.name+"-", "AWS", "")
			require.Equal(t, 1, got.code, got)
			require.Contains(t, got.stderr, "INVALID_INPUT: invalid input: name must not end in a hyphen")
			require.Contains(t, got.stderr,
				"\n  correct providerSettings.regionName: it must name a region, such as US_EAST_1\n",
			)
		})
	}
}
