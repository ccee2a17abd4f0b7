package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

const (
	group = "32b6e34b3d91647abb20e7b8"
	where = `{"backingProviderName":"AWS","regionName":"US_EAST_1"}`
)

// The schemas are what the types say.
func TestInStep(t *testing.T) {
	t.Parallel()
	want, err := generate()
	require.NoError(t, err)
	files, err := filepath.Glob(folder + "/*")
	require.NoError(t, err)
	const advice = "the schemas are not what the Go types say: run make schema"
	require.Len(t, files, len(want), advice)
	for name, data := range want {
		got, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err, advice)
		require.Equal(t, string(data), string(got), advice)
	}
}

// write leaves what is generated and nothing else.
func TestWrite(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "Old.json"), nil, 0o600))
	require.NoError(t, write(folder))
	want, err := generate()
	require.NoError(t, err)
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	var got []string
	for _, f := range files {
		got = append(got, f.Name())
	}
	require.Equal(t, slices.Sorted(maps.Keys(want)), got)
}

// compile reads a schema as a caller would: from its file.
func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(filepath.Join(folder, name+".json"))
	require.NoError(t, err)
	return s
}

// judge is what each side says of an input: its schema, and the workflow.
type judge struct {
	name   string
	schema *jsonschema.Schema
	parse  func([]byte) error
}

func judges(t *testing.T) []judge {
	return []judge{
		{contract.ProvisionFlexCluster, compile(t, "ProvisionFlexClusterInput"), func(data []byte) error {
			_, err := contract.Parse[contract.ProvisionFlexClusterInput](data, "id")
			return err
		}},
		{contract.UpgradeToServerless, compile(t, "UpgradeToServerlessInput"), func(data []byte) error {
			_, err := contract.Parse[contract.UpgradeToServerlessInput](data, "id")
			return err
		}},
	}
}

func valid(s *jsonschema.Schema, data []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// agree requires that both sides accept an input or both refuse it, and tells
// which.
func (j judge) agree(t *testing.T, data []byte) bool {
	t.Helper()
	schema, parse := valid(j.schema, data), j.parse(data)
	require.Equal(t, parse == nil, schema == nil, "%s\n%s\nthe workflow: %v\nthe schema: %v", j.name, data, parse, schema)
	return parse == nil
}

// What one field of an otherwise good input may be. Each is tried alone, and in
// every mixture that chance makes.
var values = map[string][]string{
	"groupId": {`"` + group + `"`, `"` + group + `0"`, `"ABCDEF0123456789ABCDEF01"`, `"` + group + `\n"`, `""`, `null`, `7`},
	"name": {
		`"orders"`, `"a"`, `"0"`, `"Orders-2"`, `"a--b"`, `"a-"`, `"-a"`, `"-"`, `""`, `"a_b"`, `"ö"`, `"orders\n"`, `" a"`, `"\ud800"`, `null`, `7`, `[]`,
		text(22), text(23), text(24), text(64), text(65), text(22, "-"), text(22, "-x"), text(21, "-x"), text(23, "-"), text(23, "-x"), text(63, "-"), text(64, "-"),
	},
	"providerSettings": {
		where, `{}`, `null`, `[]`, `"AWS"`,
		place("backingProviderName", `"AZURE"`), place("backingProviderName", `"GCP"`), place("backingProviderName", `"aws"`), place("backingProviderName", `null`), place("backingProviderName", `1`),
		place("regionName", `"MOON_1"`), place("regionName", `""`), place("regionName", `null`), place("regionName", `{}`),
		place("providerName", `"FLEX"`), place("providerName", `"SERVERLESS"`), place("providerName", `""`), place("providerName", `null`), place("providerName", `"TENANT"`),
		place("diskSizeGB", `0`), place("diskSizeGB", `0.0`), place("diskSizeGB", `5`), place("diskSizeGB", `null`), place("diskSizeGB", `"5"`),
		place("instanceSizeName", `"M0"`),
	},
	"tags": {
		`[]`, `null`, `{}`, `"team"`, `[null]`, `["team"]`, `[{}]`, tag(`"team"`, `"orders"`), tag(`"team"`, `""`), tag(`""`, `"orders"`), tag(`null`, `"orders"`), tag(`1`, `"orders"`),
		tag(text(255), text(255)), tag(text(256), `"x"`), tag(`"x"`, text(256)), tag(`"`+strings.Repeat("é", 255)+`"`, `"`+strings.Repeat("é", 256)+`"`), tag(`"`+strings.Repeat("é", 255)+`"`, `"😀"`),
		tag(`"atlas-provisioner-workflow"`, `"x"`), tag(`"ATLAS-PROVISIONER-WORKFLOW"`, `"x"`), `[{"key":"a","value":"b","x":1}]`, `[{"key":"a","value":"b"},{"key":"b","value":"b"}]`,
	},
	"terminationProtectionEnabled": {`true`, `false`, `null`, `"true"`, `0`},
	"timeoutSeconds":               {`1`, `86400`, `1800`, `0`, `-1`, `86401`, `1.5`, `99999999999999999999`, `1e999`, `"30m"`, `null`, `true`},
	"ownershipTag":                 {`true`, `false`, `null`, `"false"`, `{}`},
	"serverlessBackupOptions": {
		`null`, `{}`, `true`, `{"serverlessContinuousBackupEnabled":true}`, `{"serverlessContinuousBackupEnabled":null}`, `{"serverlessContinuousBackupEnabled":"true"}`, `{"continuous":true}`,
	},
	"timeout": {`"30m"`},
	"":        {`1`},
}

func text(n int, end ...string) string {
	return `"` + strings.Repeat("x", n) + strings.Join(end, "") + `"`
}
func tag(key, value string) string { return `[{"key":` + key + `,"value":` + value + `}]` }
func place(field, value string) string {
	fields := map[string]string{"backingProviderName": `"AWS"`, "regionName": `"US_EAST_1"`}
	fields[field] = value
	return object(fields)
}

func object(fields map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		all = append(all, fmt.Sprintf("%q:%s", name, fields[name]))
	}
	return "{" + strings.Join(all, ",") + "}"
}

func good() map[string]string {
	return map[string]string{"groupId": `"` + group + `"`, "name": `"orders"`, "providerSettings": where}
}

// The schemas and the workflows agree on every value of every field, on its
// absence, and on what is no object.
func TestAgree(t *testing.T) {
	t.Parallel()
	for _, j := range judges(t) {
		require.True(t, j.agree(t, []byte(object(good()))))
		for field, all := range values {
			for _, value := range all {
				in := good()
				in[field] = value
				j.agree(t, []byte(object(in)))
			}
			in := good()
			delete(in, field)
			j.agree(t, []byte(object(in)))
		}
		for _, data := range []string{``, `null`, `[]`, `"orders"`, `1`, `{`, `{}{}`, `{}`} {
			require.False(t, j.agree(t, []byte(data)))
		}
	}
}

// They agree on what chance makes of those values, most of which are good so
// that a fair part is accepted.
func TestAgreeByChance(t *testing.T) {
	t.Parallel()
	for _, j := range judges(t) {
		r := rand.New(rand.NewPCG(1, 2))
		accepted, n := 0, 10_000
		for range n {
			in := good()
			for _, field := range slices.Sorted(maps.Keys(values)) {
				often := 4
				if field == "" || field == "timeout" { // unknown: or that would be all that is wrong
					often = 40
				}
				switch {
				case r.IntN(often) == 0:
					in[field] = values[field][r.IntN(len(values[field]))]
				case r.IntN(100) == 0:
					delete(in, field)
				}
			}
			if r.IntN(4) == 0 {
				in["name"] = `"` + name(r) + `"`
			}
			if j.agree(t, []byte(object(in))) {
				accepted++
			}
		}
		require.Greater(t, accepted, n/50, j.name)
		require.Less(t, accepted, n-n/50, j.name)
	}
}

// name is one of up to 70 letters, digits and hyphens, with many hyphens.
func name(r *rand.Rand) string {
	b := make([]byte, 1+r.IntN(70))
	for i := range b {
		b[i] = "aZ09-"[r.IntN(5)]
	}
	return string(b)
}

// What JSON Schema cannot say, and the one thing that it says more strictly: all
// in which a schema and its workflow differ.
func TestDiffer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, field, value   string
		bySchema, byWorkflow bool
	}{
		{"a tag's key given twice", "tags", `[{"key":"a","value":"b"},{"key":"a","value":"c"}]`, true, false},
		{"a whole number written as a fraction", "timeoutSeconds", `60.0`, true, false},
		{"a whole number written with an exponent", "timeoutSeconds", `1e3`, true, false},
		{"a field's name in another case", "TIMEOUTSECONDS", `60`, false, true},
	} {
		for _, j := range judges(t) {
			in := good()
			in[test.field] = test.value
			require.Equal(t, test.bySchema, valid(j.schema, []byte(object(in))) == nil, test.name)
			require.Equal(t, test.byWorkflow, j.parse([]byte(object(in))) == nil, test.name)
		}
	}

	// The workflow's id is no part of the input.
	data := []byte(object(good()))
	require.NoError(t, valid(judges(t)[0].schema, data))
	_, err := contract.Parse[contract.ProvisionFlexClusterInput](data, strings.Repeat("x", 256))
	require.ErrorContains(t, err, "ownershipTag cannot hold a workflow id of more than 255 characters")
}

// What real runs took, gave and failed with is as the schemas say.
func TestHistories(t *testing.T) {
	t.Parallel()
	inputs := map[string]*jsonschema.Schema{}
	for _, j := range judges(t) {
		inputs[j.name] = j.schema
	}
	cluster, details := compile(t, "Cluster"), compile(t, "FailureDetails")
	files, err := filepath.Glob("../../workflows/testdata/*.json")
	require.NoError(t, err)
	var results, failures int
	for _, file := range files {
		for _, e := range events(t, file) {
			for _, p := range e.Started.Input.Payloads {
				err := valid(inputs[e.Started.WorkflowType.Name], p.Data)
				require.Equal(t, strings.HasPrefix(filepath.Base(file), "invalid-input-"), err != nil, "%s: %v", file, err)
			}
			for _, p := range e.Completed.Result.Payloads {
				results++
				require.NoError(t, valid(cluster, p.Data), file)
			}
			for _, p := range e.Failed.Failure.Info.Details.Payloads {
				failures++
				require.NoError(t, valid(details, p.Data), file)
			}
		}
	}
	require.Positive(t, results)
	require.Positive(t, failures)
}

type payloads struct {
	Payloads []struct {
		Data []byte `json:"data"`
	} `json:"payloads"`
}

// event is what is needed of one in a history.
type event struct {
	Started struct {
		WorkflowType struct {
			Name string `json:"name"`
		} `json:"workflowType"`
		Input payloads `json:"input"`
	} `json:"workflowExecutionStartedEventAttributes"`
	Completed struct {
		Result payloads `json:"result"`
	} `json:"workflowExecutionCompletedEventAttributes"`
	Failed struct {
		Failure struct {
			Info struct {
				Details payloads `json:"details"`
			} `json:"applicationFailureInfo"`
		} `json:"failure"`
	} `json:"workflowExecutionFailedEventAttributes"`
}

func events(t *testing.T, file string) []event {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var history struct {
		Events []event `json:"events"`
	}
	require.NoError(t, json.Unmarshal(data, &history))
	return history.Events
}

// The smallest and the fullest values of what is given are as the schemas say,
// and a result may grow.
func TestResults(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"Cluster":        contract.Cluster{ClusterType: contract.ClusterTypeFlex, Outcome: contract.Created, Tags: []contract.Tag{}, Warnings: []string{}},
		"FailureDetails": contract.FailureDetails{Parameters: []string{"x"}, Violations: []contract.Violation{{}}, Differences: []contract.Difference{{}}},
		"Status":         contract.Status{Phase: contract.PhaseWaiting},
		"WaitProgress":   contract.WaitProgress{StateName: contract.StateIdle, Errors: 1},
	} {
		data, err := json.Marshal(value)
		require.NoError(t, err)
		require.NoError(t, valid(compile(t, name), data))
		require.NoError(t, valid(compile(t, name), append([]byte(`{"new":1,`), bytes.TrimPrefix(data, []byte("{"))...)), name)
	}
	require.Error(t, valid(compile(t, "Status"), []byte(`{"phase":"ASLEEP","since":"2026-11-23T00:00:00Z"}`)))
	require.Error(t, valid(compile(t, "Status"), []byte(`{"phase":"DONE","since":"yesterday"}`)))
}
