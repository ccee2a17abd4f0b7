package env_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
)

var update = flag.Bool("update", false, "write the table of docs/configuration.md")

// docs/configuration.md has the table of variables, as it is in the code.
func TestConfigurationPage(t *testing.T) {
	t.Parallel()
	const (
		page  = "../../docs/configuration.md"
		begin = "<!-- The tables are written by: go test ./internal/env -run TestConfigurationPage -update -->\n\n"
		end   = "\n<!-- The end of the tables. -->\n"
	)
	data, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(data), begin)
	require.True(t, ok, "%s has no line %q", page, begin)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "%s has no line %q", page, end)
	want := before + begin + env.Markdown() + end + after
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(data), "write it anew, as it says itself")
}

// variableName matches a string in Go that is the name of a variable of the programs.
var variableName = regexp.MustCompile(
	`"((?:TEMPORAL|MONGODB_ATLAS|WORKER|LOG|OTEL|SSL|HTTPS?)_[A-Z_]*[A-Z]|NO_PROXY|NO_COLOR|TRACEPARENT|TRACESTATE)_?"`)

// Every variable that the code of the programs names stands in the table, and the code names every one of the table
// that is not read by a library or named in parts.
func TestEveryVariableIsInTheTable(t *testing.T) {
	t.Parallel()
	notNamed := []string{
		"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY", "TEMPORAL_TLS", "TEMPORAL_TLS_…",
		"TEMPORAL_GRPC_META_…", "TEMPORAL_CLIENT_AUTHORITY", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE",
		"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_…",
	}
	var table []string
	for _, section := range env.Sections() {
		for _, v := range section.Variables {
			require.NotEmpty(t, v.ReadBy, v.Names)
			table = append(table, v.Names...)
		}
	}
	inTable := func(name string) bool {
		return slices.ContainsFunc(table, func(known string) bool {
			prefix, isPrefix := strings.CutSuffix(known, "…")
			return name == known || isPrefix && strings.HasPrefix(name+"_", prefix)
		})
	}
	named := map[string]bool{}
	notOfThePrograms := []string{"atlassim", "dev", "docs", "integration", "testenv"}
	for _, folder := range []string{"../../codec", "../../atlasclient", "../../provisioner", "../../internal"} {
		require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && slices.Contains(notOfThePrograms, d.Name()) {
				return filepath.SkipDir
			}
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
				strings.HasSuffix(path, "/env/variables.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, m := range variableName.FindAllStringSubmatch(string(source), -1) {
				named[m[1]] = true
				require.True(t, inTable(m[1]), "%s reads %s: add it to internal/env/variables.go", path, m[1])
			}
			return err
		}))
	}
	for _, name := range table {
		require.True(t, named[name] || slices.Contains(notNamed, name), "no program reads %s", name)
	}
}

// The help of a program has the variables that it reads, and no others.
func TestHelp(t *testing.T) {
	t.Parallel()
	starter := env.Help(env.Starter)
	require.Contains(t, starter, "  TEMPORAL_UI_URL\n      where the Web UI is, for links; default: ")
	require.NotContains(t, starter, "MONGODB_ATLAS")
	worker := env.Help(env.Worker)
	require.NotContains(t, worker, "TEMPORAL_UI_URL")
	require.Contains(t, worker, "Atlas credential (exactly one kind):\n  MONGODB_ATLAS_CLIENT_ID, ")
	for line := range strings.SplitSeq(worker, "\n") {
		require.LessOrEqual(t, len([]rune(line)), 80, line)
	}
}
