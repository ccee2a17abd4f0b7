package starter

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Every operation of the contract has its command, with help that says under which id it runs, the schema of its input,
// and a row and a section in the documents; and no command is of an operation that the contract does not have.
func TestOperations(t *testing.T) {
	t.Parallel()
	reference, err := os.ReadFile("../../docs/reference.md")
	require.NoError(t, err)
	commands, err := os.ReadFile("../../docs/cli.md")
	require.NoError(t, err)
	known := map[string]bool{}
	for _, operation := range contract.Operations() {
		t.Run(operation.WorkflowType, func(t *testing.T) {
			require.Contains(t, verbs, operation.WorkflowType, "a file in internal/starter adds it")
			help := run(nowhere, operation.Command, "--help")
			require.Equal(t, 0, help.code, help.stderr)
			require.Contains(t, help.stdout, operation.IDPrefix+"<project-id>-<name>")
			require.Contains(t, run(nowhere, "--help").stdout, "\n  "+operation.Command+" ")
			require.FileExists(
				t,
				filepath.Join("testdata", operation.Command+".txt"),
				"TestHelp writes it with -update",
			)

			schema := reflect.TypeOf(operation.Input).Name() + ".json"
			require.FileExists(t, filepath.Join("../../contract/schema", schema), "make schema writes it")

			row := "(?m)^\\| `" + operation.WorkflowType + "` \\|.*`" + operation.Command + "` \\|"
			require.Regexp(t, row, string(reference), "docs/reference.md, the table of operations")
			require.Contains(t, string(reference), "\n### "+operation.WorkflowType+"\n", "docs/reference.md, its input")
			row = "(?m)^\\| \\[`" + operation.Command + "`\\]\\(#" + operation.Command + "\\) \\|"
			require.Regexp(t, row, string(commands), "docs/cli.md, the table of commands")
			require.Contains(t, string(commands), "\n## "+operation.Command+"\n", "docs/cli.md, its section")
		})
		known[operation.WorkflowType] = true
	}
	for workflowType := range verbs {
		require.True(t, known[workflowType], "%s is no operation of the contract", workflowType)
	}
}

// A verb takes no request but that of its own operation, and its flags reach each field that the contract can find
// wrong.
func TestVerbs(t *testing.T) {
	t.Parallel()
	for _, operation := range contract.Operations() {
		v := verbs[operation.WorkflowType]()
		require.Equal(t, operation.WorkflowType, v.request().Operation().WorkflowType)
		require.NotEmpty(t, v.describe(operation.Input), "what --dry-run says it would do")
		out := run(nowhere, operation.Command)
		require.Equal(t, 2, out.code)
		require.True(t, strings.HasPrefix(out.stderr, "starter: required flag(s) "), out.stderr)
	}
}
