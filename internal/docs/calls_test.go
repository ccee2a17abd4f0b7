//go:build unix

package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// call is a call of a program, with its arguments.
type call []string

// checks says how the calls of a program are checked where they cannot run. A call of any other program is refused.
//
//	bin/worker, bin/starter,   the command is there, and its help has every flag
//	temporal
//	make                       the Makefile has the target
//	go                         the packages are there, and so is the test that -run names
//	docker, kubectl            the files that it names are there, and so are the profiles
//	tcld, openssl              nothing but the shell's syntax: tcld is not at hand, and docs/encryption.md runs
//	                           openssl
var checks = map[string]func(*testing.T, *reader, call) error{
	"bin/worker": checkHelp, "bin/starter": checkHelp, "temporal": checkHelp,
	"make": checkTargets, "go": checkPackages,
	"docker": checkFiles, "kubectl": checkFiles,
	"tcld": checkNothing, "openssl": checkNothing,
}

func checkNothing(*testing.T, *reader, call) error { return nil }

// checkCalls lets bash read a script and find out what it would call, and checks each call.
func (r *reader) checkCalls(t *testing.T, script string) error {
	t.Helper()
	calls, err := r.calls(t, script)
	if err != nil {
		return err
	}
	for _, c := range calls {
		checkCall, known := checks[c[0]]
		if !known {
			return fmt.Errorf("there is no way to check a call of %s", c[0])
		}
		if err := checkCall(t, r, c); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(c, " "), err)
		}
	}
	return nil
}

// calls runs a script in bash, which finds no program, and returns the calls of programs.
func (r *reader) calls(t *testing.T, script string) ([]call, error) {
	t.Helper()
	const end = "\x1e"
	record := filepath.Join(t.TempDir(), "calls")
	require.NoError(t, os.WriteFile(record, nil, 0o600))
	prelude := `PATH=/dev/null; command_not_found_handle() { printf '%s\0' "$@" "$END" >>"$CALLS"; }` + "\n"
	entries, err := os.ReadDir(filepath.Join(r.home, "bin"))
	require.NoError(t, err)
	for _, e := range entries {
		// bash asks command_not_found_handle only about names without a slash.
		prelude += `bin/` + e.Name() + `() { command_not_found_handle bin/` + e.Name() + ` "$@"; }` + "\n"
	}
	got := r.run(t, "env", "-C", t.TempDir(), "CALLS="+record, "END="+end, "bash", "-ec", prelude+script)
	if got.code != 0 || got.stderr != "" {
		return nil, fmt.Errorf("bash cannot read it: %s", got)
	}
	recorded, err := os.ReadFile(record)
	require.NoError(t, err)
	var all []call
	for one := range strings.SplitSeq(string(recorded), end+"\x00") {
		if one != "" {
			all = append(all, strings.Split(strings.TrimSuffix(one, "\x00"), "\x00"))
		}
	}
	return all, nil
}

// checkHelp asks a program for the help of the command, and looks for the flags there.
func checkHelp(t *testing.T, r *reader, c call) error {
	t.Helper()
	firstFlag := slices.IndexFunc(c, func(arg string) bool { return strings.HasPrefix(arg, "-") })
	if firstFlag < 0 {
		firstFlag = len(c)
	}
	// env looks for the program on the reader's PATH, where the test itself would look on its own.
	help := r.run(t, "env", append(slices.Clone(c[:firstFlag]), "--help")...)
	if help.code != 0 {
		return fmt.Errorf("its help fails: %s", help)
	}
	for _, arg := range c[firstFlag:] {
		flag, _, _ := strings.Cut(arg, "=")
		inHelp := regexp.MustCompile(`(?m)(^|[\s,])` + regexp.QuoteMeta(flag) + `\b`)
		if strings.HasPrefix(flag, "-") && !inHelp.MatchString(help.stdout+help.stderr) {
			return fmt.Errorf("there is no flag %s", flag)
		}
	}
	return nil
}

func checkTargets(t *testing.T, _ *reader, c call) error {
	t.Helper()
	makefile := read(t, "Makefile")
	for _, arg := range c[1:] {
		target := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(arg) + `:`)
		if !strings.Contains(arg, "=") && !target.MatchString(makefile) {
			return fmt.Errorf("there is no target %s", arg)
		}
	}
	return nil
}

func checkPackages(t *testing.T, _ *reader, c call) error {
	t.Helper()
	var source strings.Builder
	for i, arg := range c {
		switch {
		case strings.HasPrefix(arg, "./"):
			files, err := filepath.Glob(filepath.Join(u.root, arg, "*.go"))
			require.NoError(t, err)
			if len(files) == 0 {
				return fmt.Errorf("there is no package %s", arg)
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				source.Write(text)
			}
		case i > 0 && c[i-1] == "-run" && !strings.Contains(source.String(), "func "+arg+"("):
			return fmt.Errorf("there is no test %s", arg)
		}
	}
	return nil
}

// checkFiles looks for the values of flags that name files, and of those that name the profiles of docker compose.
func checkFiles(t *testing.T, _ *reader, c call) error {
	t.Helper()
	for i, arg := range c[:len(c)-1] {
		switch value := c[i+1]; arg {
		case "-f", "-k", "--env-file":
			if _, err := os.Stat(filepath.Join(u.root, value)); err != nil {
				return fmt.Errorf("there is no file %s", value)
			}
		case "--profile":
			profile := regexp.MustCompile(`profiles: \[([\w-]+, )*` + regexp.QuoteMeta(value) + `[],]`)
			if !profile.MatchString(read(t, "docker-compose.yml")) {
				return fmt.Errorf("docker-compose.yml has no profile %s", value)
			}
		}
	}
	return nil
}

// Every way to check a call refuses what is not there.
func TestCalls(t *testing.T) {
	t.Parallel()
	r := u.reader(t, "TestCalls")
	const script = "export A=b\nA=1 temporal workflow \\\n  show | bin/starter 'a b' … && tcld\n# no\nx=$(id -u)\n"
	calls, err := r.calls(t, script)
	require.NoError(t, err)
	require.ElementsMatch(t,
		[]call{{"temporal", "workflow", "show"}, {"bin/starter", "a b", "…"}, {"tcld"}, {"id", "-u"}}, calls)
	for script, want := range map[string]string{
		"temporal workflow show --workflow-idea x": "there is no flag --workflow-idea",
		"bin/starter status --wait":                "there is no flag --wait",
		"bin/starter list --stat IDLE":             "there is no flag --stat",
		"bin/worker conjure":                       "its help fails",
		"make love":                                "there is no target love",
		"go test ./activities -run TestLove":       "there is no test TestLove",
		"go run ./love":                            "there is no package ./love",
		"docker compose --env-file love.env up":    "there is no file love.env",
		"docker compose --profile love up":         "docker-compose.yml has no profile love",
		"kubectl apply -f deploy/love.yaml":        "there is no file deploy/love.yaml",
		"sudo id":                                  "there is no way to check a call of sudo",
		"./love":                                   "No such file",
		"temporal 'workflow":                       "bash cannot read it",
	} {
		require.ErrorContains(t, r.checkCalls(t, script), want, script)
	}
	require.NoError(t, r.checkCalls(t, "temporal workflow show --workflow-id=x && make bin/temporal\n"+
		"docker compose --env-file deploy/compose/sim.env --profile monitoring up"))
}
