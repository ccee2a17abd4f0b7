package starter

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/requestfile"
)

// write puts a file in a folder of the test's own.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

const twoRequests = `{
  "clusters": [
    {
      "workflowId": "atlas-cluster-32b6e34b3d91647abb20e7b8-orders",
      "workflowType": "ProvisionFlexCluster",
      "taskQueue": "atlas-provisioning",
      "input": {
        "groupId": "32b6e34b3d91647abb20e7b8",
        "name": "orders",
        "providerSettings": {
          "backingProviderName": "AWS",
          "regionName": "US_EAST_1"
        },
        "tags": [
          {
            "key": "since",
            "value": "2024-01-01"
          }
        ],
        "timeoutSeconds": 60
      }
    },
    {
      "workflowId": "atlas-cluster-32b6e34b3d91647abb20e7b8-billing",
      "workflowType": "ProvisionFlexCluster",
      "taskQueue": "atlas-provisioning",
      "input": {
        "groupId": "32b6e34b3d91647abb20e7b8",
        "name": "billing",
        "providerSettings": {
          "backingProviderName": "AWS",
          "regionName": "US_EAST_1"
        },
        "tags": [
          {
            "key": "since",
            "value": "2024-01-01"
          }
        ],
        "timeoutSeconds": 60
      }
    }
  ]
}
`

const (
	ordersJSON = `{"groupId": "32b6e34b3d91647abb20e7b8", "name": "orders", "providerSettings": ` +
		`{"backingProviderName": "AWS", "regionName": "US_EAST_1"}, "tags": [{"key": "since", "value": ` +
		`"2024-01-01"}], "timeoutSeconds": 60}`
	billingJSON = `{"groupId": "32b6e34b3d91647abb20e7b8", "name": "billing", "providerSettings": ` +
		`{"backingProviderName": "AWS", "regionName": "US_EAST_1"}, "tags": [{"key": "since", "value": ` +
		`"2024-01-01"}], "timeoutSeconds": 60}`
	ordersYAML = `groupId: 32b6e34b3d91647abb20e7b8
name: orders
providerSettings: {backingProviderName: AWS, regionName: US_EAST_1}
tags:
- key: since
  value: 2024-01-01
timeoutSeconds: 60
`
)

var billingYAML = strings.Replace(ordersYAML, "orders", "billing", 1)

// However a file says it, the requests are the same; nothing is dialled.
func TestFormsOfAFile(t *testing.T) {
	t.Parallel()
	tabs := strings.ReplaceAll(strings.ReplaceAll(ordersJSON, "{", "{\n\t"), ", ", ",\n\t")
	for name, text := range map[string]string{
		"documents":            ordersYAML + "---\n" + billingYAML,
		"empty documents":      "# two clusters\n---\n---\n" + ordersYAML + "---\nnull\n---\n" + billingYAML + "---\n",
		"a list":               "- {<<: &all " + ordersJSON + "}\n- <<: *all\n  name: billing\n",
		"lists and documents":  "- " + ordersJSON + "\n---\n" + billingYAML,
		"JSON documents":       ordersJSON + "\n" + billingJSON + "\n",
		"JSON on one line":     ordersJSON + billingJSON,
		"a JSON list":          "[" + ordersJSON + ",\n" + billingJSON + "]",
		"JSON with tabs":       "\t" + tabs + "\n\n" + billingJSON,
		"JSON with escapes":    strings.ReplaceAll(ordersJSON, "orders", `\u006frders`) + billingJSON,
		"JSON in documents":    ordersJSON + "\n---\n" + billingJSON,
		"carriage returns":     strings.ReplaceAll(ordersYAML+"---\n"+billingYAML, "\n", "\r\n"),
		"a byte order mark":    "\ufeff" + ordersYAML + "---\n" + billingYAML,
		"a number in base 8":   strings.Replace(ordersYAML, "60", "0o74", 1) + "---\n" + billingYAML,
		"fields in other case": strings.Replace(ordersYAML, "groupId", "GROUPID", 1) + "---\n" + billingYAML,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := output{stdout: twoRequests}
			require.Equal(
				t,
				want,
				run(nowhere, "provision-flex", "-f", write(t, "clusters", text), "--dry-run", "-o", "json"),
			)
			require.Equal(
				t,
				want,
				runWith(text, nowhere, "provision-flex", "--file=-", "--wait", "--dry-run", "-o", "json"),
			)
		})
	}
	t.Run("two files", func(t *testing.T) {
		t.Parallel()
		require.Equal(
			t,
			output{stdout: twoRequests},
			runWith(
				billingYAML,
				nowhere,
				"provision-flex",
				"-f",
				write(t, "a.yaml", ordersYAML),
				"-f",
				"-",
				"--dry-run",
				"-o",
				"json",
			),
		)
	})
	t.Run("an astral character", func(t *testing.T) {
		t.Parallel()
		out := runWith(
			strings.Replace(ordersJSON, "2024-01-01", `\ud835\udd38`, 1),
			nowhere,
			"provision-flex",
			"-f-",
			"--dry-run",
			"-o",
			"json",
		)
		require.Equal(t, 0, out.code)
		require.Contains(t, out.stdout, `"value": "𝔸"`)
	})
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	e := append([]string{"TEMPORAL_TASK_QUEUE=queue"}, nowhere...)
	const orders = `Would      create Flex cluster orders of project 32b6e34b3d91647abb20e7b8 in AWS US_EAST_1
Workflow   atlas-cluster-32b6e34b3d91647abb20e7b8-orders
Type       ProvisionFlexCluster
Task queue queue
Input      {
  "groupId": "32b6e34b3d91647abb20e7b8",
  "name": "orders",
  "providerSettings": {
    "backingProviderName": "AWS",
    "regionName": "US_EAST_1"
  }
}
`
	require.Equal(t, output{stdout: orders}, run(e, well("--dry-run", "--wait")...))
	upgrade := strings.NewReplacer("create Flex cluster", "upgrade cluster", " in AWS", " to serverless in AWS",
		"ProvisionFlexCluster", "UpgradeToServerless").Replace(orders)
	require.Equal(
		t,
		output{stdout: upgrade},
		run(e, append([]string{"upgrade-to-serverless", "--dry-run"}, well()[1:]...)...),
	)
	require.Equal(t, output{stdout: `{
  "workflowId": "atlas-cluster-32b6e34b3d91647abb20e7b8-orders",
  "workflowType": "ProvisionFlexCluster",
  "taskQueue": "queue",
  "input": {
    "groupId": "32b6e34b3d91647abb20e7b8",
    "name": "orders",
    "providerSettings": {
      "backingProviderName": "AWS",
      "regionName": "US_EAST_1"
    }
  }
}
`}, run(e, well("--dry-run", "-o", "json")...))
	file := "groupId: 32b6e34b3d91647abb20e7b8\nname: orders\nproviderSettings: {backingProviderName: AWS, " +
		"regionName: US_EAST_1}\n"
	both := file + "---\n" + strings.Replace(file, "orders", "billing", 1)
	require.Equal(
		t,
		output{stdout: orders + "\n" + strings.ReplaceAll(orders, "orders", "billing")},
		runWith(both, e, "provision-flex", "-f-", "--dry-run"),
	)
	require.Equal(
		t,
		output{stdout: upgrade + "\n" + strings.ReplaceAll(upgrade, "orders", "billing")},
		runWith(both, e, "upgrade-to-serverless", "-f-", "--dry-run"),
	)
	require.Equal(
		t,
		output{code: 2, stderr: "starter: nothing was started:\n  --timeout must be from 1s to 24h\n"},
		run(e, well("--dry-run", "--timeout", "0s")...),
	)
}

const oldYAML = `groupId: 32b6e34b3d91647abb20e7b8
name: orders
---
groupId: 32b6e34b3d91647abb20e7b8
name: billing
removeTerminationProtection: true
`

// A dry run says in words what each verb would do, and what it would send.
func TestDryRunOfEachVerb(t *testing.T) {
	t.Parallel()
	const orders = "orders of project 32b6e34b3d91647abb20e7b8"
	sized := func(more ...string) []string {
		return named("upgrade-to-dedicated",
			append([]string{"--provider", "AWS", "--region", "US_EAST_1", "--instance-size", "M10"}, more...)...)
	}
	for _, test := range []struct {
		args        []string
		want, input string
	}{
		{well("--update"), "create Flex cluster " + orders + " in AWS US_EAST_1; update its tags and termination " +
			"protection if it is there and they differ", `"ifDifferent": "UPDATE"`},
		{well("--adopt"), "create Flex cluster " + orders + " in AWS US_EAST_1; take it over if it carries no " +
			"ownership tag", `"adopt": true`},
		{named("update-flex", "--tag", "team=orders", "--tag", "env=test"), "update Flex cluster " + orders +
			": set its tags to team=orders, env=test", `"value": "test"`},
		{named("update-flex", "--no-tags", "--termination-protection=false"), "update Flex cluster " + orders +
			": remove all its tags; turn termination protection off", `"tags": [],
  "terminationProtectionEnabled": false`},
		{named("update-flex", "--termination-protection", "true", "--adopt"), "update Flex cluster " + orders +
			": turn termination protection on; take it over if it carries no ownership tag",
			`"terminationProtectionEnabled": true,
  "adopt": true`},
		{named("delete"), "delete cluster " + orders, `"name": "orders"
}`},
		{named("delete", "--id", project, "--remove-termination-protection", "--adopt"), "delete cluster " + orders +
			", if its id is " + project + "; termination protection is turned off first; also if it carries no " +
			"ownership tag", `"id": "` + project + `",
  "removeTerminationProtection": true,
  "adopt": true`},
		{append([]string{"upgrade-to-flex"}, well("--tag", "a=b")[1:]...), "upgrade free cluster " + orders +
			" to Flex in AWS US_EAST_1", `"key": "a"`},
		{sized(), "upgrade Flex cluster " + orders + " to dedicated M10 in AWS US_EAST_1", `"instanceSizeName": "M10"
  }
}`},
		{sized("--tag", "a=b", "--termination-protection=true", "--adopt"), "upgrade Flex cluster " + orders +
			" to dedicated M10 in AWS US_EAST_1; set its tags to a=b; turn termination protection on; take it over " +
			"if it carries no ownership tag", `"adopt": true`},
	} {
		out := run(nowhere, append(test.args, "--dry-run")...)
		require.Equal(t, 0, out.code, out.stderr)
		require.True(t, strings.HasPrefix(out.stdout, "Would      "+test.want+"\nWorkflow   "), out.stdout)
		require.Contains(t, out.stdout, test.input)
	}
	out := runWith(oldYAML, nowhere, "delete", "-f-", "--dry-run")
	require.Equal(t, 0, out.code, out.stderr)
	require.Contains(t, out.stdout, "Would      delete cluster "+orders+"\n")
	require.Contains(t, out.stdout, "Would      delete cluster billing of project 32b6e34b3d91647abb20e7b8; "+
		"termination protection is turned off first\n")
}

// A file of changes tells its mistakes as any other.
func TestInvalidFileOfChanges(t *testing.T) {
	t.Parallel()
	const cluster = "groupId: 32b6e34b3d91647abb20e7b8\nname: orders\n"
	for _, test := range []struct{ command, text, want string }{
		{"update-flex", cluster, ":1: document 1: tags must be given where terminationProtectionEnabled is left out: " +
			"there is nothing to change"},
		{"update-flex", cluster + "tags:\n", ":3: document 1: tags must be given where terminationProtectionEnabled " +
			"is left out: there is nothing to change"},
		{"delete", cluster + "id: 12\n", ":3: document 1: id must be a string, got a JSON number: put it in quotes"},
		{"delete", cluster + "tags: []\n", ":3: document 1: tags is not a known field"},
		{"upgrade-to-dedicated", cluster + "providerSettings: {backingProviderName: AWS, regionName: US_EAST_1}\n",
			":3: document 1: providerSettings.instanceSizeName must be the size of a dedicated cluster, such as M10, " +
				`got ""`},
		{"provision-flex", ordersYAML + "ifDifferent: update\n", ":8: document 1: ifDifferent must be FAIL or " +
			`UPDATE, got "update"`},
	} {
		require.Equal(t, output{code: 2, stderr: "starter: nothing was started:\n  standard input" + test.want + "\n"},
			runWith(test.text, nowhere, test.command, "-f-"))
	}
}

// Every mistake of every document is told, by file, line and document, and
// nothing is dialled.
func TestInvalidFile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"fields", `groupId: 12
name: -orders
providerSettings:
  backingProviderName: IBM
  regionName: true
tags:
- {key: a, value: 1.5}
- {key: "", value: x}
team: orders
---

name: billing
timeoutSeconds: soon
`, []string{
			`:1: document 1: groupId must be a string, got a JSON number: put it in quotes`,
			`:5: document 1: providerSettings.regionName must be a string, got a JSON bool: put it in quotes`,
			`:7: document 1: tags[0].value must be a string, got a JSON number: put it in quotes`,
			`:9: document 1: team is not a known field`,
			`:2: document 1: name must begin with a letter or digit and hold only letters, digits and hyphens, got ` +
				`"-orders"`,
			`:4: document 1: providerSettings.backingProviderName must be AWS, AZURE or GCP, got "IBM"`,
			`:8: document 1: tags[1].key must have 1 to 255 characters, got 0`,
			`:13: document 2: timeoutSeconds must be a whole number, got a JSON string`,
			`:12: document 2: groupId must be the project's id of 24 hexadecimal digits (0-9, a-f), got ""`,
			`:12: document 2: providerSettings.backingProviderName must be AWS, AZURE or GCP, got ""`,
			`:12: document 2: providerSettings.regionName must name a region, such as US_EAST_1`,
		}},
		{"JSON", ordersJSON + "\n\n" + strings.Replace(billingJSON, `"tags"`, "\n\t\"label\"", 1) + "\n[" +
			strings.Replace(billingJSON, "billing", "", 1) + "]", []string{
			`:4: document 2: label is not a known field`,
			`:5: document 3, item 1: name must begin with a letter or digit and hold only letters, digits and ` +
				`hyphens, got ""`,
		}},
		{"JSON without lines of its fields", "\n" + strings.NewReplacer("2024-01-01", `\ud835\udd38`, "AWS",
			"IBM").Replace(ordersJSON), []string{
			`:2: document 1: providerSettings.backingProviderName must be AWS, AZURE or GCP, got "IBM"`,
		}},
		{"twice", ordersYAML + "---\n" + billingYAML + "---\n" + ordersYAML + "---\n" + strings.Replace(ordersYAML,
			"AWS", "IBM", 1), []string{
			`:18: document 3: name is that of document 1 of FILE as well, in the same project: ask for each ` +
				`cluster once`,
			`:27: document 4: providerSettings.backingProviderName must be AWS, AZURE or GCP, got "IBM"`,
			`:26: document 4: name is that of document 1 of FILE as well, in the same project: ask for each ` +
				`cluster once`,
		}},
		{"through an alias", "- &a " + ordersJSON + "\n- <<: *a\n  name: b\n  tags: &t [{key: a}]\n- <<: *a\n  " +
			"name: c\n  tags: *t\n", []string{
			`:4: document 1, item 2: tags[0].value must have 1 to 255 characters, got 0`,
			`:4: document 1, item 3: tags[0].value must have 1 to 255 characters, got 0`,
		}},
		{"no mapping", "orders\n---\n7\n---\n- []\n- null\n", []string{
			`:1: document 1: input must be one JSON object`,
			`:3: document 2: input must be one JSON object`,
			`:5: document 3, item 1: input must be one JSON object`,
			`:6: document 3, item 2: input must be one JSON object`,
		}},
		{"a key twice", ordersYAML + "name: b\nname: c\n", []string{
			`:8: document 1: name is given twice`,
			`:9: document 1: name is given twice`,
		}},
		{"a key twice in JSON", "\n" + strings.Replace(ordersJSON, `"tags"`, "\n\"name\": \"b\", "+
			"\"tags\"", 1), []string{`:3: document 1: name is given twice`}},
		{"a key twice in JSON without lines", strings.NewReplacer("2024-01-01", `\ud835\udd38`, `"tags"`, `"name": `+
			`"b", "tags"`).Replace(ordersJSON), []string{`:1: document 1: name is given twice`}},
		{"a key in two cases", ordersYAML + "Name: b\n", []string{`:8: document 1: Name is given twice`}},
		{"a key in two cases in JSON", ordersJSON + "[" + strings.Replace(billingJSON, `"tags"`, "\n\"Name\": "+
			"\"b\", \"tags\"", 1) + "]", []string{`:2: document 2, item 1: Name is given twice`}},
		{"a key of a field twice", strings.Replace(ordersYAML, "regionName: US_EAST_1", "regionName: US_EAST_1, "+
			"backingProviderName: GCP", 1) + "---\n" +
			strings.Replace(billingYAML, "- key: since", "- key: since\n  KEY: b", 1), []string{
			`:3: document 1: providerSettings.backingProviderName is given twice`,
			`:14: document 2: tags[0].KEY is given twice`,
		}},
		{"tags of YAML", strings.NewReplacer("orders", "!Ref orders", "AWS", "!!str AWS", "key: since", "key: "+
			"!!binary c2luY2U=").Replace(ordersYAML) + "---\n!Request\n" + billingYAML + "---\n- !x " +
			"" + strings.Replace(ordersJSON, "orders", "stock", 1) + "\n---\n!!str name: b\n", []string{
			`:2: document 1: name has the YAML tag !Ref, which means nothing here: leave it out`,
			`:3: document 1: providerSettings.backingProviderName has the YAML tag !!str, which means nothing ` +
				`here: leave it out`,
			`:5: document 1: tags[0].key has the YAML tag !!binary, which means nothing here: leave it out`,
			`:9: document 2: input has the YAML tag !Request, which means nothing here: leave it out`,
			`:18: document 3, item 1: input has the YAML tag !x, which means nothing here: leave it out`,
			`:20: document 4: name has the YAML tag !!str, which means nothing here: leave it out`,
			`:20: document 4: groupId must be the project's id of 24 hexadecimal digits (0-9, a-f), got ""`,
			`:20: document 4: providerSettings.backingProviderName must be AWS, AZURE or GCP, got ""`,
			`:20: document 4: providerSettings.regionName must name a region, such as US_EAST_1`,
		}},
		{"no text", strings.Replace(ordersYAML, "orders", "orders\xff", 1) + "---\n" + billingYAML + "---\n" +
			strings.Replace(billingYAML, "since", "\xc3\x28", 1), []string{
			`:2: document 1: input cannot be read: it is not text in UTF-8`,
			`:21: document 3: input cannot be read: it is not text in UTF-8`,
		}},
		{"no text in JSON", ordersJSON + "\n" + strings.Replace(billingJSON, "billing", "b\xff", 1) + "\n[" +
			strings.Replace(ordersJSON, "name", "\xfe", 1) + "]", []string{
			`:2: document 2: input cannot be read: it is not text in UTF-8`,
			`:3: document 3, item 1: input cannot be read: it is not text in UTF-8`,
		}},
		{"UTF-16", "\xff\xfen\x00a\x00", []string{`:1: document 1: input cannot be read: it is not text in UTF-8`}},
		{"control characters in all formats", ordersJSON + "\n" + strings.Replace(billingJSON, "US_EAST_1",
			"\u009b2J", 1), []string{
			`:2: document 2: input cannot be read: it has a control character`,
		}},
		{"escaped control characters", ordersYAML + "\"\\e[2J\": x\n", []string{`:1: document 1: "\x1b[2J" is not ` +
			`a known field`}},
		{"a key that is a list", "? [a]\n: b\n", []string{`:1: document 1: input cannot be read: cannot use ` +
			`'[]interface {}{"a"}' as a map key; try decoding into yaml.Node`}},
		{"indentation", "name: [\n---\n", []string{`:2: document 1: input cannot be read: did not find expected ` +
			`node content while parsing a flow node`}},
		{"what comes before is told as well", strings.Replace(ordersYAML, "AWS", "IBM", 1) + "---\nname: a\n " +
			"region: b\n", []string{
			`:3: document 1: providerSettings.backingProviderName must be AWS, AZURE or GCP, got "IBM"`,
			`:10: document 2: input cannot be read: mapping values are not allowed in this context`,
		}},
		{"broken JSON", "{\n  \"name\": \"a\"\n  \"groupId\": \"b\"\n}\n", []string{`:3: document 1: input cannot ` +
			`be read: did not find expected ',' or '}' while parsing a flow mapping`}},
		{"an unknown anchor", "name: *none\n", []string{`:1: document 1: input cannot be read: unknown anchor ` +
			`'none' referenced`}},
		{"an endless alias", "name: &a [*a]\n", []string{`:1: document 1: input cannot be read: anchor 'a' value ` +
			`contains itself`}},
		{"control characters", ordersYAML + "---\na: \x1b[2J\n\x00", []string{
			`:9: document 2: input cannot be read: it has a control character`,
			`:10: document 2: input cannot be read: it has a control character`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			file := write(t, "clusters.yaml", test.text)
			want := "starter: nothing was started:\n  FILE" + strings.Join(test.want, "\n  FILE") + "\n"
			out := run(nowhere, "provision-flex", "-f", file)
			out.stderr = strings.ReplaceAll(out.stderr, file, "FILE")
			require.Equal(t, output{code: 2, stderr: want}, out)
			for _, flags := range [][]string{{"--dry-run"}, {"--wait"}} {
				require.Equal(
					t,
					2,
					run(nowhere, append([]string{"upgrade-to-serverless", "-f", file}, flags...)...).code,
				)
			}
		})
	}
	t.Run("json", func(t *testing.T) {
		t.Parallel()
		out := runWith(ordersYAML+"---\nname: [\n", nowhere, "provision-flex", "-f-", "-o", "json")
		require.Equal(t, output{2, `{
  "clusters": [
    {
      "workflowId": "",
      "runId": "",
      "status": ""
    },
    {
      "workflowId": "",
      "runId": "",
      "status": "",
      "failure": {
        "type": "INVALID_INPUT",
        "message": "invalid input: input cannot be read: did not find expected node content while parsing a flow ` +
			`node. Nothing was sent to Atlas: correct the input and start the workflow again",
        "details": {
          "status": 0,
          "errorCode": "",
          "reason": "",
          "detail": "",
          "method": "",
          "path": "",
          "violations": [
            {
              "field": "input",
              "problem": "cannot be read: did not find expected node content while parsing a flow node"
            }
          ]
        }
      }
    }
  ]
}
`, "starter: nothing was started:\n  standard input:10: document 2: input " +
			"cannot be read: did not find expected node content while parsing a flow node\n"}, out)
	})
}

// A file that holds no request, or cannot be read.
func TestUnreadableFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	long := write(t, "long.yaml", ordersYAML+strings.Repeat("#\n", requestfile.MaxBytes/2))
	for _, test := range []struct{ file, stdin, want string }{
		{"-", "", "standard input holds no request"},
		{"-", "[]", "standard input holds no request"},
		{"-", "---\n# nothing\n---\n", "standard input holds no request"},
		{filepath.Join(folder, "none.yaml"), "", filepath.Join(folder, "none.yaml") + " cannot be read: no such " +
			"file or directory"},
		{folder, "", folder + " cannot be read: is a directory"},
		{long, "", long + " is longer than 4 MiB: split it"},
	} {
		require.Equal(
			t,
			output{code: 2, stderr: "starter: " + test.want + "\n"},
			runWith(test.stdin, nowhere, "provision-flex", "-f", test.file),
			"%q",
			test.stdin,
		)
	}
}

// failing fails to be read.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestStandardInput(t *testing.T) {
	t.Parallel()
	var stdout, stderr stream
	require.Equal(
		t,
		2,
		Run(context.Background(), []string{"provision-flex", "-f-"}, nowhere, failing{}, &stdout, &stderr),
	)
	require.Equal(t, "starter: standard input cannot be read: unexpected EOF\n", stderr.String())

	// One that never ends can be interrupted.
	stdin, never := io.Pipe()
	defer never.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	stderr = stream{}
	require.Equal(t, 130, Run(ctx, []string{"provision-flex", "-f-"}, nowhere, stdin, &stdout, &stderr))
	require.Equal(t, "starter: interrupted before standard input was read; nothing was started\n", stderr.String())
	require.Empty(t, stdout.String())
}

// FuzzFile holds that no file makes the program panic, or start anything but
// what it says.
func FuzzFile(f *testing.F) {
	for _, text := range []string{"", ordersYAML, ordersJSON + billingJSON, "[" + ordersJSON + "]", "- &a {name: " +
		"b}\n- <<: *a\n", "name: [", "? [a]\n: b", "a: !!int x", "a: .nan", "\ufeff{}", "{}{", "[[1]]", "- - " +
		"a", "a: &a [*a]", "<<: 1", "~: ~", "[null,\"\\ud83d\"]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out := runWith(text, nowhere, "provision-flex", "-f-", "--dry-run", "-o", "json")
		require.Contains(t, []int{0, 2}, out.code)
		require.Equal(t, out.code != 0, strings.HasPrefix(out.stderr, "starter: "), "%s", out.stderr)
	})
}
