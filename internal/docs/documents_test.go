//go:build unix

package docs

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.yaml.in/yaml/v4"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// project is the one that the documents and `make up` name.
const project = "32b6e34b3d91647abb20e7b8"

// The test runs every code block of every document, in order, each document in a folder of its own and with the
// variables that the blocks before exported. The project that documents name is another one for each document, so
// that each begins where a new user does: with no cluster but the shared-tier cluster "legacy".
//
//	sh       runs, and must succeed
//	console  runs each command, which follows "$ "; its output must have the lines
//	         that follow, in that order, with others between them. "…" stands for
//	         anything, and a number or an id for any other
//	go       runs, as a program or in a function that has ctx, temporalClient and
//	         the options of that client
//	yaml     parses; a document that is an input must be a valid one, and one that
//	json     is a result has no unknown field. Where the line before ends in
//	         `NAME.yaml`: it is saved under that name
//	toml     is read, strictly, by the package that reads Temporal's profiles
//	mermaid  has no line but the nodes and edges of a flowchart
//	text     stands, line by line, in the test that a comment before it names,
//	         <!-- shown by: FILE -->
//
// A block of another kind fails. A block of sh or console that cannot run here says why in a comment before it,
// <!-- not run: REASON -->; its calls are then checked as checks says.
func TestDocuments(t *testing.T) {
	t.Parallel()
	u.dependOnAllFiles(t)
	for _, name := range documents(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := blocks(read(t, name))
			require.NoError(t, err)
			reader := u.reader(t, name)
			for _, b := range all {
				t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) {
					t.Cleanup(func() {
						if t.Failed() {
							t.Logf("%s:%d:\n%s\nif it cannot run, say why in a line before it: "+
								"<!-- not run: REASON -->", name, b.line, b.text)
						}
					})
					reader.try(t, b)
				})
			}
		})
	}
}

// documents are the paths of all documents of the repository.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	require.NoError(t, filepath.WalkDir(u.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "bin", "dist", "node_modules"}, d.Name()) {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			name, err := filepath.Rel(u.root, path)
			all = append(all, name)
			return err
		}
		return nil
	}))
	require.Contains(t, all, "README.md")
	require.Contains(t, all, "docs/cli.md")
	return all
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(u.root, name))
	require.NoError(t, err)
	return string(data)
}

// reader is a user who does what one document says.
type reader struct {
	*user
	document string
	project  string // in place of the one that the document names
}

// reader gives a reader a folder and a project of his own. The examples are copied, since a document may install their
// packages while another test uses those of the repository.
func (u *user) reader(t *testing.T, document string) *reader {
	t.Helper()
	own := *u
	own.home = t.TempDir()
	entries, err := os.ReadDir(u.home)
	require.NoError(t, err)
	for _, e := range entries {
		if e.Name() != "examples" {
			require.NoError(t, os.Symlink(filepath.Join(u.home, e.Name()), filepath.Join(own.home, e.Name())))
		}
	}
	copied := u.run(t, "sh", "-c", `cd "$1" && tar -cf - --exclude node_modules --exclude build --exclude types `+
		`examples | tar -xf - -C "$2"`, "sh", u.root, own.home)
	require.Zero(t, copied.code, copied)
	r := &reader{user: &own, document: document}
	r.project = fmt.Sprintf("%x", sha256.Sum256([]byte(document)))[:len(project)]
	u.control(t, "shared", fmt.Sprintf(`{"groupId": %q, "name": "legacy"}`, r.project))
	return r
}

// kinds says what is done with a block of each kind.
var kinds = map[string]func(*reader, *testing.T, block){
	"sh": func(r *reader, t *testing.T, b block) {
		got := r.shell(t, b.text)
		require.Zero(t, got.code, got)
	},
	"console": (*reader).console,
	"go":      (*reader).program,
	"yaml":    (*reader).data,
	"json":    (*reader).data,
	"toml":    func(_ *reader, t *testing.T, b block) { checkProfiles(t, b.text) },
	"mermaid": func(_ *reader, t *testing.T, b block) { require.Regexp(t, flowchart, b.text) },
	"text": func(_ *reader, t *testing.T, b block) {
		test := shownBy.FindStringSubmatch(b.before)
		require.NotNil(t, test, "name the test that shows it in a line before it: <!-- shown by: FILE -->")
		require.Empty(t, notShown(b.text, read(t, test[1])))
	},
}

var shownBy = regexp.MustCompile(`^<!-- shown by: (\S+_test\.go) -->$`)

// notShown returns the first line of a text that the source of a test lacks. White space makes no difference.
func notShown(text, source string) string {
	for line := range strings.Lines(text) {
		if words := strings.Join(strings.Fields(line), " "); !strings.Contains(source, words) {
			return line
		}
	}
	return ""
}

func TestNotShown(t *testing.T) {
	t.Parallel()
	require.Empty(t, notShown("one\n  two   2\n\n", "x one\n\ttwo 2 three"))
	require.Equal(t, "two 3\n", notShown("one\ntwo 3\n", "one\ntwo 2\n"))
}

// checkKind returns why a block is neither run nor checked.
func checkKind(b block) error {
	if kinds[b.kind] == nil {
		known := strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
		return fmt.Errorf("a block of the kind %q cannot be tested: name one of %s", b.kind, known)
	}
	if b.skipped != "" && b.kind != "sh" && b.kind != "console" {
		return fmt.Errorf("a block of the kind %q is never left out", b.kind)
	}
	return nil
}

func TestCheckKind(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkKind(block{kind: "sh", skipped: "it needs a cloud"}))
	require.NoError(t, checkKind(block{kind: "toml"}))
	require.EqualError(t, checkKind(block{}),
		`a block of the kind "" cannot be tested: name one of console, go, json, mermaid, sh, text, toml, yaml`)
	require.EqualError(t, checkKind(block{kind: "yaml", skipped: "it needs a cloud"}),
		`a block of the kind "yaml" is never left out`)
}

// try runs a block, or checks its calls where it cannot run.
func (r *reader) try(t *testing.T, b block) {
	require.NoError(t, checkKind(b))
	b.text = strings.ReplaceAll(b.text, project, r.project)
	b.text = strings.ReplaceAll(b.text, "http://127.0.0.1:8080", r.atlas) // where nothing else has the port
	if b.skipped == "" {
		kinds[b.kind](r, t, b)
		return
	}
	all := commands(b)
	require.NotEmpty(t, all, `no line begins with "$ "`)
	for _, command := range all {
		require.NoError(t, r.checkCalls(t, command.text))
	}
}

// shell runs a script with the variables that the scripts before it exported.
func (r *reader) shell(t *testing.T, script string) result {
	t.Helper()
	const before, after = `[ ! -e .exported ] || . ./.exported`, `trap 'export -p >.exported' EXIT`
	return r.run(t, "bash", "-c", before+"\nset -euo pipefail\n"+after+"\n"+script)
}

// command is a command with the lines of output that a block shows after it.
type command struct {
	text  string
	shown []string
}

// commands are those of a block: each that follows "$ ", or the whole script.
func commands(b block) []command {
	if b.kind == "sh" {
		return []command{{text: b.text}}
	}
	var all []command
	for text := range strings.SplitSeq("\n"+b.text, "\n$ ") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		lines := strings.Split(text, "\n")
		for i, line := range lines {
			if !strings.HasSuffix(line, `\`) {
				all = append(all, command{text: strings.Join(lines[:i+1], "\n"), shown: lines[i+1:]})
				break
			}
		}
	}
	return all
}

// console runs each command, and looks for the lines that the block shows after it in its output.
func (r *reader) console(t *testing.T, b block) {
	t.Helper()
	all := commands(b)
	require.NotEmpty(t, all, `no line begins with "$ "`)
	for _, c := range all {
		got := r.shell(t, c.text+" 2>&1")
		if len(c.shown) == 0 {
			require.Zero(t, got.code, got)
		}
		require.Empty(t, missing(c.shown, strings.Split(got.stdout, "\n")), "%s\n%s", c.text, got)
	}
}

// missing returns the first line that the block shows and that is not in the output after the lines before it.
func missing(shown, got []string) string {
	for _, line := range shown {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(varying.ReplaceAllString(line, "#")), "…", ".*")
		want := regexp.MustCompile("^" + pattern + "$")
		for {
			if len(got) == 0 {
				return line
			}
			next := strings.TrimRight(varying.ReplaceAllString(got[0], "#"), " ")
			got = got[1:]
			if want.MatchString(next) {
				break
			}
		}
	}
	return ""
}

// varying finds what differs from run to run: a number, or an id.
var varying = regexp.MustCompile(`[0-9a-f]*[0-9][0-9a-f]*`)

func TestMissing(t *testing.T) {
	t.Parallel()
	require.Empty(t, missing([]string{"one 12", "id 6b03e0f…"}, []string{"", "one 3", "between", "id 1f2e3d4c  "}))
	require.Equal(t, "two", missing([]string{"two", "one"}, []string{"one", "two words"}))
	require.Equal(t, "one", missing([]string{"two", "one"}, []string{"one", "two"}))
}

// data checks YAML or JSON, and saves it where it has a name.
func (r *reader) data(t *testing.T, b block) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(b.text)) // JSON is YAML
	for {
		var v any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if object, _ := v.(map[string]any); object["groupId"] != nil {
			checkContract(t, object)
		}
	}
	if name := named.FindStringSubmatch(b.before); name != nil {
		require.NoError(t, os.WriteFile(filepath.Join(r.home, name[1]), []byte(b.text), 0o600))
	}
}

var named = regexp.MustCompile("`([\\w-]+\\.(?:ya?ml|json))`:$")

// checkContract checks an object that is a result, or else the input of one of the operations.
func checkContract(t *testing.T, object map[string]any) {
	t.Helper()
	data, err := json.Marshal(object)
	require.NoError(t, err)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	switch {
	case object["clusterType"] != nil:
		require.NoError(t, d.Decode(&contract.Cluster{}))
		return
	case object["releasedAt"] != nil:
		require.NoError(t, d.Decode(&contract.LeaseResult{}))
		return
	}
	var refusals []error
	for _, operation := range contract.Operations() {
		_, err := operation.Parse(data, "id")
		if err == nil {
			return
		}
		refusals = append(refusals, fmt.Errorf("%s: %w", operation.WorkflowType, err))
	}
	require.NoError(t, errors.Join(refusals...), "no operation takes this input")
}

// checkProfiles reads the profiles of a configuration file of Temporal's. The certificates that they name need not be
// there.
func checkProfiles(t *testing.T, text string) {
	t.Helper()
	var config envconfig.ClientConfig
	require.NoError(t, config.FromTOML([]byte(text), envconfig.ClientConfigFromTOMLOptions{Strict: true}))
	require.NotEmpty(t, config.Profiles)
}

const node = `\w+(\["[^"]+"\])?`

// flowchart matches the part of Mermaid's language that the documents use. No parser of that language is at hand.
var flowchart = regexp.MustCompile(`^flowchart (LR|TD)\n( +` + node + `( -->(\|"[^"]+"\|)? ` + node + `)?\n)+$`)

func TestFlowchart(t *testing.T) {
	t.Parallel()
	require.Regexp(t, flowchart, "flowchart LR\n  a[\"A: one, two\"] -->|\"asks\"| b\n  b --> c[\"C\"]\n")
	for _, wrong := range []string{"flowchart LR\n", "graph\n  a --> b\n", "flowchart LR\n  a[A (b)] --> b\n",
		"flowchart LR\n  a -> b\n", "flowchart LR\n  a --> \n"} {
		require.NotRegexp(t, flowchart, wrong)
	}
}

// A Go program in the documents is formatted.
func checkFormat(t *testing.T, b block) {
	t.Helper()
	formatted, err := format.Source([]byte(b.text))
	require.NoError(t, err)
	require.Equal(t, string(formatted), b.text, "gofmt would change it")
}
