package starter

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
)

const project = "32b6e34b3d91647abb20e7b8"

// well is a command line without a mistake.
func well(more ...string) []string {
	return append(
		[]string{
			"provision-flex",
			"--project-id",
			project,
			"--name",
			"orders",
			"--provider",
			"AWS",
			"--region",
			"US_EAST_1",
		},
		more...)
}

// named is a command line that names a cluster, and more.
func named(command string, more ...string) []string {
	return append([]string{command, "--project-id", project, "--name", "orders"}, more...)
}

func TestHelp(t *testing.T) {
	t.Parallel()
	commands := []string{"", "status", "watch", "result", "cancel", "extend", "release", "list", "doctor", "help",
		"environment", "completion", "completion bash", "completion zsh", "completion fish", "completion powershell"}
	for _, operation := range contract.Operations() {
		commands = append(commands, operation.Command)
	}
	for _, command := range commands {
		name := command
		if name == "" {
			name = "starter"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(command)
			out := run(nil, append(args, "--help")...)
			require.Equal(t, 0, out.code)
			require.Empty(t, out.stderr)
			testenv.Golden(t, strings.ReplaceAll(name, " ", "-")+".txt", out.stdout)
			for line := range strings.Lines(out.stdout) {
				require.LessOrEqual(t, len([]rune(strings.TrimSuffix(line, "\n"))), 120, "too wide: %s", line)
			}
			require.Equal(t, out, run(nil, append([]string{"help"}, args...)...), "help as a command")
			require.Equal(t, out, run(nil, append(args, "-h")...), "-h")
		})
	}
	t.Run("no command", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, run(nowhere, "--help"), run(nowhere))
	})
}

func TestVersion(t *testing.T) {
	t.Parallel()
	require.Equal(t, output{stdout: "starter version " + version.Version + "\n"}, run(nil, "--version"))
}

// A mistake in the command line is told in one line, with the way to help, and
// nothing is dialled.
func TestUsage(t *testing.T) {
	t.Parallel()
	const (
		id         = " takes one workflow id, such as atlas-cluster-32b6e34b3d91647abb20e7b8-orders"
		watchTakes = "watch takes workflow ids, such as atlas-cluster-32b6e34b3d91647abb20e7b8-orders, or " +
			"--project-id or --state"
		required = `required flag(s) "project-id", "name", "provider", "region" not set`
	)
	for _, test := range []struct {
		args []string
		want string
		help string // of which command
	}{
		{[]string{"destroy"}, `unknown command "destroy" for "starter"`, "starter"},
		{[]string{"provision"}, "unknown command \"provision\" for \"starter\"\n\nDid you mean " +
			"this?\n\tprovision-flex", "starter"},
		{[]string{"statsu", "x"}, "unknown command \"statsu\" for \"starter\"\n\nDid you mean " +
			"this?\n\tstatus", "starter"},
		{[]string{"help", "bogus"}, `unknown command "bogus" for "starter"`, "starter"},
		{[]string{"--bogus"}, "unknown flag: --bogus", "starter"},
		{[]string{"-x"}, "unknown shorthand flag: 'x' in -x", "starter"},
		{[]string{"status", "--wait", "x"}, "unknown flag: --wait", "starter status"},
		{well("--continuous-backup"), "unknown flag: --continuous-backup", "starter provision-flex"},

		{[]string{"provision-flex"}, required, "starter provision-flex"},
		{[]string{"update-flex"}, `required flag(s) "project-id", "name" not set`, "starter update-flex"},
		{[]string{"delete", "--yes"}, `required flag(s) "project-id", "name" not set`, "starter delete"},
		{[]string{"upgrade-to-flex"}, required, "starter upgrade-to-flex"},
		{[]string{"upgrade-to-dedicated"}, `required flag(s) "project-id", "name", "provider", "region", ` +
			`"instance-size" not set`, "starter upgrade-to-dedicated"},
		{named("update-flex"), "update-flex needs --tag, --no-tags or --termination-protection: what to change",
			"starter update-flex"},
		{named("update-flex", "--adopt"), "update-flex needs --tag, --no-tags or --termination-protection: what to " +
			"change", "starter update-flex"},
		{named("update-flex", "--tag", "a=b", "--no-tags"), "--tag cannot go with --no-tags", "starter update-flex"},
		{named("update-flex", "--termination-protection=maybe"), `invalid argument "maybe" for ` +
			`"--termination-protection" flag: strconv.ParseBool: parsing "maybe": invalid syntax`,
			"starter update-flex"},
		{named("update-flex", "--termination-protection"), "flag needs an argument: --termination-protection",
			"starter update-flex"},
		{named("update-flex", "-f", "x.yaml", "--no-tags"), "--name cannot go with --file, which holds whole requests",
			"starter update-flex"},
		{[]string{"update-flex", "-f", "x.yaml", "--no-tags"}, "--no-tags cannot go with --file, which holds whole " +
			"requests", "starter update-flex"},
		{[]string{"delete", "-f", "x.yaml", "--id", "x", "--yes"}, "--id cannot go with --file, which holds whole " +
			"requests", "starter delete"},
		{named("upgrade-to-dedicated", "--provider", "AWS", "--region", "US_EAST_1", "--instance-size", "M10", "--tag",
			"a=b", "--no-tags"), "--tag cannot go with --no-tags", "starter upgrade-to-dedicated"},
		{well("--yes"), "unknown flag: --yes", "starter provision-flex"},
		{append([]string{"upgrade-to-flex"}, well("--adopt")[1:]...), "unknown flag: --adopt",
			"starter upgrade-to-flex"},
		{[]string{"provision-flex", "--wait", "-o", "json"}, required, "starter provision-flex"},
		{[]string{"upgrade-to-serverless"}, required, "starter upgrade-to-serverless"},
		{[]string{"provision-flex", "--name", "orders", "--provider", "AWS", "--region", "US_EAST_1"}, `required ` +
			`flag(s) "project-id" not set`, "starter provision-flex"},
		{[]string{"provision-flex", "--name"}, "flag needs an argument: --name", "starter provision-flex"},

		{well("--output", "xml"), `--output must be text or json, got "xml"`, "starter provision-flex"},
		{[]string{"-o", "JSON", "list"}, `--output must be text or json, got "JSON"`, "starter list"},
		{[]string{"status", "x", "-o", ""}, `--output must be text or json, got ""`, "starter status"},
		{well("--tag", "team"), `--tag must be KEY=VALUE, got "team"`, "starter provision-flex"},
		{well("--tag", "a=b,c=d", "--tag", ""), `--tag must be KEY=VALUE, got ""`, "starter provision-flex"},
		{well("--timeout", "30"), `invalid argument "30" for "--timeout" flag: time: missing unit in duration ` +
			`"30"`, "starter provision-flex"},
		{well("--timeout", "soon"), `invalid argument "soon" for "--timeout" flag: time: invalid duration ` +
			`"soon"`, "starter provision-flex"},
		{well("--wait=maybe"), `invalid argument "maybe" for "--wait" flag: strconv.ParseBool: parsing "maybe": ` +
			`invalid syntax`, "starter provision-flex"},
		{well("--dry-run=maybe"), `invalid argument "maybe" for "--dry-run" flag: strconv.ParseBool: parsing ` +
			`"maybe": invalid syntax`, "starter provision-flex"},
		{well("-f", "x.yaml"), "--name cannot go with --file, which holds whole requests", "starter provision-flex"},
		{[]string{"provision-flex", "-f", "x.yaml", "--region", "US_EAST_1"}, "--region cannot go with --file, " +
			"which holds whole requests", "starter provision-flex"},
		{[]string{"upgrade-to-serverless", "-f", "x.yaml", "--continuous-backup"}, "--continuous-backup cannot go " +
			"with --file, which holds whole requests", "starter upgrade-to-serverless"},
		{[]string{"provision-flex", "-f"}, "flag needs an argument: 'f' in -f", "starter provision-flex"},
		{[]string{"provision-flex", "--dry-run"}, required, "starter provision-flex"},
		{well("--name", "orders\xff"), "--name must be text in UTF-8", "starter provision-flex"},
		{well("--tag", "a=\xff"), "--tag must be text in UTF-8", "starter provision-flex"},
		{well("--region=\xc3\x28", "--dry-run"), "--region must be text in UTF-8", "starter provision-flex"},
		{[]string{"status", "a\xff"}, `status takes a workflow id of printable ASCII characters, got ` +
			`"a\xff"`, "starter status"},
		{[]string{"watch", "a", "é"}, `watch takes a workflow id of printable ASCII characters, got "é"`, "starter " +
			"watch"},
		{[]string{"list", "--project-id", "\xff"}, "--project-id must be text in UTF-8", "starter list"},
		{[]string{"list", "--\x1b[2J"}, `unknown flag: --\x1b[2J`, "starter list"},
		{well("billing"), `provision-flex takes flags only, got "billing"`, "starter provision-flex"},
		{[]string{"upgrade-to-serverless", "legacy"}, `upgrade-to-serverless takes flags only, got ` +
			`"legacy"`, "starter upgrade-to-serverless"},

		{[]string{"status"}, "status" + id, "starter status"},
		{[]string{"status", ""}, "status" + id, "starter status"},
		{[]string{"watch"}, watchTakes, "starter watch"},
		{[]string{"watch", "a", ""}, watchTakes, "starter watch"},
		{[]string{"watch", "a", "--state", "IDLE"}, "watch takes workflow ids or a filter, not both", "starter watch"},
		{[]string{"watch", "--state", "'"}, "--project-id and --state must not hold quotes", "starter watch"},
		{[]string{"result", "a", "b"}, "result" + id, "starter result"},
		{[]string{"cancel"}, "cancel" + id, "starter cancel"},
		{[]string{"extend", "--by", "30m"}, "extend" + id, "starter extend"},
		{[]string{"extend", "a"}, "extend takes --by DURATION, such as --by 30m", "starter extend"},
		{[]string{"extend", "a", "--by", "0s"}, "--by must be from 1s to 720h", "starter extend"},
		{[]string{"extend", "a", "--by", "-1m"}, "--by must be from 1s to 720h", "starter extend"},
		{[]string{"extend", "a", "--by", "721h"}, "--by must be from 1s to 720h", "starter extend"},
		{[]string{"extend", "a", "--by", "30"}, `invalid argument "30" for "--by" flag: time: missing unit in ` +
			`duration "30"`, "starter extend"},

		{[]string{"list", "RUNNING"}, `list takes flags only, got "RUNNING"`, "starter list"},
		{[]string{"list", "--limit", "0"}, "--limit must be 1 or more", "starter list"},
		{[]string{"list", "--limit", "-1"}, "--limit must be 1 or more", "starter list"},
		{[]string{"list", "--limit", "many"}, `invalid argument "many" for "--limit" flag: strconv.ParseInt: ` +
			`parsing "many": invalid syntax`, "starter list"},
		{[]string{"list", "--status", "done"}, `--status must be RUNNING, COMPLETED, FAILED, CANCELED, TERMINATED ` +
			`or TIMED_OUT, got "done"`, "starter list"},
		{[]string{"list", "--project-id", "' OR WorkflowId != '"}, "--project-id and --state must not hold " +
			"quotes", "starter list"},
		{[]string{"list", "--state", `IDLE"`}, "--project-id and --state must not hold quotes", "starter list"},
		{[]string{"list", "--state", `\`}, "--project-id and --state must not hold quotes", "starter list"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			require.Equal(
				t,
				output{code: 2, stderr: "starter: " + test.want + "\nSee '" + test.help + " --help'\n"},
				run(nowhere, test.args...),
			)
		})
	}
}

// What no request should be made for is told by the names of the flags, all of
// it at once, and Temporal is not asked.
func TestInvalidInput(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
		want []string
	}{
		{"everything", []string{"provision-flex", "--project-id", "ABC", "--name", "-orders", "--provider", "IBM",
			"--region", "", "--timeout", "25h",
			"--tag", "=x", "--tag", "team=", "--tag", "a=1", "--tag", "a=2", "--tag", "atlas-provisioner-workflow=me"},
			[]string{
				`--project-id must be the project's id of 24 hexadecimal digits (0-9, a-f), got "ABC"`,
				`--name must begin with a letter or digit and hold only letters, digits and hyphens, got "-orders"`,
				`--provider must be AWS, AZURE or GCP, got "IBM"`,
				`--region must name a region, such as US_EAST_1`,
				`--tag number 1: the key must have 1 to 255 characters, got 0`,
				`--tag number 2: the value must have 1 to 255 characters, got 0`,
				`--tag number 4: the key is given twice: "a"`,
				`--tag number 5: the key is atlas-provisioner-workflow, which is reserved`,
				`--timeout must be from 1s to 24h`,
			}},
		{"upgrade", []string{"upgrade-to-serverless", "--project-id", project, "--name", "orders-", "--provider",
			"aws", "--region", "US_EAST_1", "--timeout", "0s"},
			[]string{
				`--name must not end in a hyphen, nor may its first 23 characters, which make the host name, got ` +
					`"orders-"`,
				`--provider must be AWS, AZURE or GCP, got "aws"`,
				`--timeout must be from 1s to 24h`,
			}},
		{"update", []string{"update-flex", "--project-id", project, "--name", "a b", "--tag",
			"atlas-provisioner-workflow=x", "--timeout", "25h"},
			[]string{
				`--name must begin with a letter or digit and hold only letters, digits and hyphens, got "a b"`,
				`--tag number 1: the key is atlas-provisioner-workflow, which is reserved`,
				`--timeout must be from 1s to 24h`,
			}},
		{"delete", named("delete", "--id", "ABC"), []string{
			`--id must be the cluster's id of 24 hexadecimal digits (0-9, a-f), or be left out, got "ABC"`,
		}},
		{"size", named("upgrade-to-dedicated", "--provider", "AWS", "--region", "US_EAST_1", "--instance-size", "m10"),
			[]string{`--instance-size must be the size of a dedicated cluster, such as M10, got "m10"`}},
		{"an update of a name too long for all", named("update-flex", "--name", strings.Repeat("n", 300), "--no-tags"),
			[]string{`--name must have 64 characters at most, got 300`}},
		{"a negative timeout", well("--timeout", "-5s"), []string{`--timeout must be from 1s to 24h`}},
		// The workflow id is then too long for the ownership tag, which follows.
		{"a name too long for all", well("--name", strings.Repeat("n", 300)), []string{`--name must have 64 ` +
			`characters at most, got 300`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want := "starter: nothing was started:\n  " + strings.Join(test.want, "\n  ") + "\n"
			require.Equal(t, output{code: 2, stderr: want}, run(nowhere, test.args...))
			require.Equal(
				t,
				want,
				run(nowhere, append(test.args, "-o", "json")...).stderr,
				"standard error is the same with -o json",
			)
		})
	}
	t.Run("json", func(t *testing.T) {
		t.Parallel()
		out := run(nowhere, well("--name", "-", "--timeout", "48h", "-o", "json")...)
		require.Equal(t, 2, out.code)
		require.Equal(t, `{
  "workflowId": "",
  "runId": "",
  "status": "",
  "failure": {
    "type": "INVALID_INPUT",
    "message": "invalid input: name must begin with a letter or digit and hold only letters, digits and hyphens, `+
			`got \"-\"; timeoutSeconds must be from 1 to 86400, got 172800. Nothing was sent to Atlas: `+
			`correct the input and start the workflow again",
    "details": {
      "status": 0,
      "errorCode": "",
      "reason": "",
      "detail": "",
      "method": "",
      "path": "",
      "violations": [
        {
          "field": "name",
          "problem": "must begin with a letter or digit and hold only letters, digits and hyphens, got \"-\""
        },
        {
          "field": "timeoutSeconds",
          "problem": "must be from 1 to 86400, got 172800"
        }
      ]
    }
  }
}
`, out.stdout)
	})
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	file := write(t, "clusters.yaml", billingYAML)
	for _, args := range [][]string{
		well(), well("--wait"), well("-o", "json"), append([]string{"upgrade-to-serverless"}, well()[1:]...),
		well("--update", "--adopt"), named("update-flex", "--no-tags"), named("delete", "--yes"),
		append([]string{"upgrade-to-flex"}, well()[1:]...), {"delete", "-f", write(t, "old.yaml", oldYAML), "--yes"},
		{"provision-flex", "-f", file, "--wait"}, {"upgrade-to-serverless", "-f", file, "-o", "json"},
		{"watch", "x", "y"}, {"watch", "--state", "IDLE"},
		{"status", "x"}, {"watch", "x"}, {"result", "x"}, {"cancel", "x"}, {"list"}, {"list", "-o", "json"},
		{"extend", "x", "--by", "1h"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			require.Equal(
				t,
				output{
					code: 3,
					stderr: `starter: Temporal could not be reached at 127.0.0.1:1: failed reaching server: ` +
						`connection error: desc = "transport: Error while dialing: ` +
						`dial tcp 127.0.0.1:1: connect: connection refused"
Is it running? Set TEMPORAL_ADDRESS to where it is
`,
				},
				run(nowhere, args...),
			)
		})
	}
}

// A configuration of Temporal that cannot be used ends the command before it connects, and the error names the
// variable.
func TestTemporalConfiguration(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, env, want string
	}{
		{"profile", "TEMPORAL_PROFILE=production",
			`TEMPORAL_PROFILE is "production", and TEMPORAL_CONFIG_FILE has no such profile`},
		{"half a certificate", "TEMPORAL_TLS_CLIENT_CERT_DATA=pem",
			"TEMPORAL_TLS_CLIENT_CERT_DATA is set without TEMPORAL_TLS_CLIENT_KEY_PATH or " +
				"TEMPORAL_TLS_CLIENT_KEY_DATA"},
		{"TLS", "TEMPORAL_TLS=yes", `TEMPORAL_TLS must be true or false, got "yes"`},
		{"namespace", "TEMPORAL_NAMESPACE=default\n",
			"TEMPORAL_NAMESPACE has white space or a line end around it: set the bare value"},
		{"task queue", "TEMPORAL_TASK_QUEUE=q ",
			"TEMPORAL_TASK_QUEUE has white space or a line end around it: set the bare value"},
		{"Web UI", "TEMPORAL_UI_URL=temporal.example.com",
			"TEMPORAL_UI_URL must be a URL such as https://temporal.example.com"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, output{code: 2, stderr: "starter: " + test.want + "\n"},
				run(append(slices.Clone(nowhere), test.env), "list"))
		})
	}
}

// FuzzArgs holds that no command line makes the program panic, or end with a
// code that nothing but a run can have. A line is one argument.
func FuzzArgs(f *testing.F) {
	for _, args := range [][]string{
		nil, {"--help"}, {"--version"}, {"list", "--state", "IDLE", "--limit", "1"}, {"status", "x", "-o", "json"},
		{"cancel", "--", "-x"}, {"watch", "-o=text", "x"}, {"result"}, {"completion", "bash"}, {"__complete",
			"provision-flex", "--"},
		well("--tag", "a=b", "--timeout", "90s", "--no-ownership-tag", "--termination-protection", "--wait"),
		append([]string{"upgrade-to-serverless", "--continuous-backup=false"}, well()[1:]...),
		named("update-flex", "--tag", "a=b", "--termination-protection=false", "--adopt"),
		named("update-flex", "--no-tags"),
		named("delete", "--id", project, "--remove-termination-protection", "--yes"), named("delete", "--dry-run"),
		append([]string{"upgrade-to-dedicated", "--instance-size", "M10"}, well("--update")[1:]...),
		well("--project-id", "", "-o", "json"), {"help", "list", "list"},
	} {
		f.Add(strings.Join(args, "\n"))
	}
	f.Fuzz(func(t *testing.T, lines string) {
		var args []string
		if lines != "" {
			args = strings.Split(lines, "\n")
		}
		out := run(nowhere, args...)
		require.Contains(t, []int{0, 2, 3}, out.code, "%q: %s", args, out.stderr)
		require.Equal(
			t,
			out.code != 0,
			strings.Contains(out.stderr, "starter: "),
			"%q says why it failed: %s",
			args,
			out.stderr,
		)
	})
}

// Nothing of the process's own environment is read.
func TestEnvironmentIsHanded(t *testing.T) {
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:2")
	t.Setenv("TEMPORAL_CONFIG_FILE", os.TempDir())
	require.Contains(t, run(nowhere, "list").stderr, "could not be reached at 127.0.0.1:1: ")
}
