//go:build unix

package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	for _, example := range examples(t)[:2] {
		t.Run(example.name, func(t *testing.T) {
			t.Parallel()
			run := func(args ...string) result { return example.run(t, args...) }
			name := example.name + "-orders"
			first := example.begin(t, project, name, "AWS", "US_EAST_1")
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
			require.Equal(t, 2, got.code, got)
			require.Contains(t, got.stderr, "INVALID_INPUT: invalid input: name must not end in a hyphen")
			require.Contains(t, got.stderr, "providerSettings.regionName must name a region, such as US_EAST_1")
		})
	}
}

// Each example joins a run that the starter began for the same request, and is refused where that is another request or
// another workflow.
func TestExamplesJoin(t *testing.T) {
	const project = "8e4b59170cf2d3e56a30ad2f"
	t.Parallel()
	u.dependOnAllFiles(t)
	for _, example := range examples(t) {
		t.Run(example.name, func(t *testing.T) {
			t.Parallel()
			name := example.name + "-joined"
			id := "atlas-cluster-" + project + "-" + name
			begun := u.run(t, "bin/starter", "provision-flex", "--project-id", project, "--name", name,
				"--provider", "AWS", "--region", "US_EAST_1")
			require.Zero(t, begun.code, begun)
			u.holdState(t, project, name, "CREATING")
			got := example.run(t, project, name, "AWS", "EU_WEST_1")
			require.Equal(t, 2, got.code, got)
			require.Contains(t, got.stderr, `REQUEST_CONFLICT: a different request runs under workflow id "`+id+
				`" (ProvisionFlexCluster): providerSettings.regionName is "US_EAST_1", requested "EU_WEST_1". `+
				"It was left alone: wait for its end, cancel it, or ask for the same")
			same := example.begin(t, project, name, "AWS", "US_EAST_1")
			eventually(t, "the example does not join the run",
				func() bool { return strings.Contains(same.stderr.String(), id+": CREATING\n") })
			u.holdState(t, project, name, "")
			got = same.end()
			require.Zero(t, got.code, got)
			require.Contains(t, got.stdout, name+" is IDLE (CREATED): mongodb+srv://")
		})
	}
}

// example is a program that takes a project, the name of a cluster, a cloud and a region.
type example struct {
	name    string
	command []string
}

// examples are those that the repository has.
func examples(t *testing.T) []example {
	t.Helper()
	typescript := filepath.Join(u.root, "examples", "typescript")
	_, err := os.Stat(filepath.Join(typescript, "node_modules"))
	require.NoError(t, err, "the example's packages are missing: run make examples")
	buildExamples.Do(func() {
		built := u.run(t, "npm", "run", "--prefix", typescript, "build")
		require.Zero(t, built.code, built)
	})
	script := filepath.Join(u.root, "examples", "shell", "provision.sh")
	return []example{
		{"typescript", []string{"node", filepath.Join(typescript, "build", "provision.js")}},
		{"shell", []string{script}},
		{"dash", []string{"dash", script}},
		{"bash", []string{"bash", script}},
	}
}

// The example for Nexus provisions from a namespace of its own, and is refused where another request runs.
func TestExampleNexus(t *testing.T) {
	const project, name = "9f5c6a281da3e4f67b41be30", "nexus-orders"
	t.Parallel()
	u.dependOnAllFiles(t)
	program := filepath.Join(t.TempDir(), "nexus")
	built := u.run(t, "go", "-C", u.root, "build", "-o", program, "./examples/nexus")
	require.Zero(t, built.code, built)
	made := u.run(t, "bin/temporal", "operator", "namespace", "create", "--namespace", "callers")
	require.Zero(t, made.code, made)
	begin := func(region string) *running {
		return u.begin(t, "env", "TEMPORAL_NAMESPACE=callers", program, project, name, "AWS", region)
	}
	// A namespace that was made a moment ago reaches the server's parts some seconds later.
	eventually(t, "the namespace is not there", func() bool {
		return u.run(t, "bin/temporal", "workflow", "list", "--namespace", "callers").code == 0
	})
	first := begin("US_EAST_1")
	u.holdState(t, project, name, "CREATING")
	got := begin("EU_WEST_1").end()
	require.Equal(t, 1, got.code, got)
	require.Contains(t, got.stderr, "REQUEST_CONFLICT: a different request runs under workflow id")
	require.Contains(t, got.stderr,
		"\n  providerSettings.regionName: requested \"EU_WEST_1\", there is \"US_EAST_1\"\n")
	u.holdState(t, project, name, "")
	got = first.end()
	require.Zero(t, got.code, got)
	require.Contains(t, got.stdout, name+" is IDLE (CREATED): mongodb+srv://")
}

var buildExamples sync.Once

func (e example) begin(t *testing.T, args ...string) *running {
	t.Helper()
	return u.begin(t, e.command[0], slices.Concat(e.command[1:], args)...)
}

func (e example) run(t *testing.T, args ...string) result {
	t.Helper()
	return e.begin(t, args...).end()
}
