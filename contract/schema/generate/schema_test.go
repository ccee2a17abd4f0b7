package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
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

func TestSchemasAreUpToDate(t *testing.T) {
	t.Parallel()
	want, err := generate()
	require.NoError(t, err)
	files, err := filepath.Glob(folder + "/*.json")
	require.NoError(t, err)
	const advice = "the schemas are not what the Go types say: run make schema"
	require.Len(t, files, len(want), advice)
	for name, data := range want {
		got, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err, advice)
		require.Equal(t, string(data), string(got), advice)
	}
}

func TestWriteReplacesOldSchemas(t *testing.T) {
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

// input is that of an operation, and its two checks: its schema, and the decoding that the workflow does.
type input struct {
	operation contract.Operation
	schema    *jsonschema.Schema
}

func inputs(t *testing.T) []input {
	var all []input
	for _, o := range contract.Operations() {
		all = append(all, input{operation: o, schema: compile(t, reflect.TypeOf(o.Input).Name())})
	}
	return all
}

// good is an input that nothing is wrong with.
func (i input) good() map[string]string {
	in := map[string]string{
		"groupId": `"` + group + `"`, "name": `"orders"`, "providerSettings": where, "leaseSeconds": `3600`,
	}
	switch i.operation.WorkflowType {
	case contract.UpgradeToDedicated:
		in["providerSettings"] = place("instanceSizeName", `"M10"`)
	case contract.UpdateFlexCluster:
		in["tags"] = `[]`
	}
	maps.DeleteFunc(in, func(field, _ string) bool { return !i.has(field) })
	return in
}

// has reports whether the input has a field.
func (i input) has(field string) bool {
	kind := reflect.TypeOf(i.operation.Input)
	for n := range kind.NumField() {
		if name, _, _ := strings.Cut(kind.Field(n).Tag.Get("json"), ","); name == field {
			return true
		}
	}
	return false
}

func (i input) decode(data []byte) error {
	_, err := i.operation.Parse(data, "id")
	return err
}

func validate(s *jsonschema.Schema, data []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// requireAgreement requires that schema and workflow both accept an input or both refuse it, and returns whether they
// accept it.
func (i input) requireAgreement(t *testing.T, data []byte) bool {
	t.Helper()
	bySchema, byWorkflow := validate(i.schema, data), i.decode(data)
	require.Equal(t, byWorkflow == nil, bySchema == nil, "%s\n%s\nthe workflow: %v\nthe schema: %v",
		i.operation.WorkflowType, data, byWorkflow, bySchema)
	return byWorkflow == nil
}

// values are what one field of an otherwise good input may be. Each is tried alone and in random mixtures.
var values = map[string][]string{
	"leaseSeconds": {`60`, `59`, `2592000`, `2592001`, `0`, `-1`, `60.5`, `"60"`, `null`},
	"groupId": {
		`"` + group + `"`, `"` + group + `0"`, `"ABCDEF0123456789ABCDEF01"`, `"` + group + `\n"`, `""`, `null`, `7`,
	},
	"name": {
		`"orders"`, `"a"`, `"0"`, `"Orders-2"`, `"a--b"`, `"a-"`, `"-a"`, `"-"`, `""`, `"a_b"`, `"ö"`, `"orders\n"`,
		`" a"`,
		`"\ud800"`, `null`, `7`, `[]`,
		text(22), text(23), text(24), text(64), text(65),
		text(22, "-"), text(22, "-x"), text(21, "-x"), text(23, "-"), text(23, "-x"), text(63, "-"), text(64, "-"),
	},
	"providerSettings": {
		where, `{}`, `null`, `[]`, `"AWS"`,
		place("backingProviderName", `"AZURE"`), place("backingProviderName", `"GCP"`),
		place("backingProviderName", `"aws"`), place("backingProviderName", `null`), place("backingProviderName", `1`),
		place("regionName", `"MOON_1"`), place("regionName", `""`), place("regionName", `null`),
		place("regionName", `{}`),
		place("providerName", `"FLEX"`), place("providerName", `"SERVERLESS"`), place("providerName", `""`),
		place("providerName", `null`), place("providerName", `"TENANT"`),
		place("diskSizeGB", `0`), place("diskSizeGB", `0.0`), place("diskSizeGB", `5`), place("diskSizeGB", `null`),
		place("diskSizeGB", `"5"`),
		place("instanceSizeName", `"M0"`), place("instanceSizeName", `"M10"`), place("instanceSizeName", `"M40_NVME"`),
		place("instanceSizeName", `"m10"`), place("instanceSizeName", `"M10\n"`), place("instanceSizeName", `""`),
		place("instanceSizeName", `null`), place("instanceSizeName", `10`),
		`{"backingProviderName":"AWS","regionName":"US_EAST_1","instanceSizeName":"M10","providerName":"AWS"}`,
		`{"backingProviderName":"AWS","regionName":"US_EAST_1","instanceSizeName":"R40","diskSizeGB":10}`,
		`{"backingProviderName":"GCP","regionName":"US_EAST_1","instanceSizeName":"M20","providerName":""}`,
	},
	"tags": {
		`[]`, `null`, `{}`, `"team"`, `[null]`, `["team"]`, `[{}]`,
		tag(`"team"`, `"orders"`), tag(`"team"`, `""`), tag(`""`, `"orders"`), tag(`null`, `"orders"`),
		tag(`1`, `"orders"`),
		tag(text(255), text(255)), tag(text(256), `"x"`), tag(`"x"`, text(256)),
		tag(accents(255), accents(256)), tag(accents(255), `"😀"`),
		tag(`"atlas-provisioner-workflow"`, `"x"`), tag(`"ATLAS-PROVISIONER-WORKFLOW"`, `"x"`),
		tag(`" atlas-provisioner-workflow "`, `"x"`), tag(`"a b"`, `" c "`), tag(`" "`, `"x"`), tag(`"x"`, `"a:b"`),
		tag(`"x"`, `"a/b"`), tag(`"x\ty"`, `"x"`),
		`[{"key":"a","value":"b","x":1}]`, `[{"key":"a","value":"b"},{"key":"b","value":"b"}]`,
		manyTags(49), manyTags(51),
	},
	"terminationProtectionEnabled": {`true`, `false`, `null`, `"true"`, `0`},
	"timeoutSeconds": {
		`1`, `86400`, `1800`, `0`, `-1`, `86401`, `1.5`, `99999999999999999999`, `1e999`, `"30m"`, `null`, `true`,
	},
	"ownershipTag": {`true`, `false`, `null`, `"false"`, `{}`},
	"serverlessBackupOptions": {
		`null`, `{}`, `true`,
		`{"serverlessContinuousBackupEnabled":true}`, `{"serverlessContinuousBackupEnabled":null}`,
		`{"serverlessContinuousBackupEnabled":"true"}`, `{"continuous":true}`,
	},
	"id": {
		`"` + group + `"`, `"` + group + `0"`, `"ABCDEF0123456789ABCDEF01"`, `"` + group + `\n"`, `""`, `null`, `7`,
	},
	"removeTerminationProtection": {`true`, `false`, `null`, `"true"`, `0`},
	"adopt":                       {`true`, `false`, `null`, `"true"`, `{}`},
	"ifDifferent":                 {`"FAIL"`, `"UPDATE"`, `""`, `null`, `"update"`, `"REPLACE"`, `true`},

	"timeout": {`"30m"`},
	"":        {`1`},
}

func manyTags(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`{"key":"k%d","value":"v"}`, i)
	}
	return "[" + strings.Join(all, ",") + "]"
}

func accents(n int) string { return `"` + strings.Repeat("é", n) + `"` }

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

// The schemas and the workflows agree on every value of every field, on its absence, and on what is no object.
func TestSchemaAndWorkflowAgree(t *testing.T) {
	t.Parallel()
	for _, i := range inputs(t) {
		require.True(t, i.requireAgreement(t, []byte(object(i.good()))), i.operation.WorkflowType)
		for field, all := range values {
			for _, value := range all {
				in := i.good()
				in[field] = value
				i.requireAgreement(t, []byte(object(in)))
			}
			in := i.good()
			delete(in, field)
			i.requireAgreement(t, []byte(object(in)))
		}
		for _, data := range []string{``, `null`, `[]`, `"orders"`, `1`, `{`, `{}{}`, `{}`} {
			require.False(t, i.requireAgreement(t, []byte(data)))
		}
	}
}

// The schemas and the workflows agree on random mixtures of those values. Most are good, so that a fair part is
// accepted.
func TestSchemaAndWorkflowAgreeOnMixtures(t *testing.T) {
	t.Parallel()
	for _, i := range inputs(t) {
		r := rand.New(rand.NewPCG(1, 2))
		accepted, n := 0, 10_000
		for range n {
			in := i.good()
			for _, field := range slices.Sorted(maps.Keys(values)) {
				often := 4
				if !i.has(field) { // unknown: or that would be all that is wrong
					often = 200
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
			if i.requireAgreement(t, []byte(object(in))) {
				accepted++
			}
		}
		require.Greater(t, accepted, n/50, i.operation.WorkflowType)
		require.Less(t, accepted, n-n/50, i.operation.WorkflowType)
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

// These are all inputs on which a schema and its workflow differ: what JSON Schema cannot say, and the case of a
// name, on which it is stricter.
func TestSchemaAndWorkflowDiffer(t *testing.T) {
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
		for _, i := range inputs(t) {
			if !i.has(test.field) && test.field != strings.ToUpper(test.field) {
				continue
			}
			in := i.good()
			in[test.field] = test.value
			require.Equal(t, test.bySchema, validate(i.schema, []byte(object(in))) == nil, test.name)
			require.Equal(t, test.byWorkflow, i.decode([]byte(object(in))) == nil, test.name)
		}
	}

	// The ownership tag takes the place of one of the 50.
	for _, i := range inputs(t) {
		if !i.has("tags") {
			continue
		}
		in := i.good()
		in["tags"] = manyTags(50)
		data := []byte(object(in))
		require.NoError(t, validate(i.schema, data))
		if i.operation.WorkflowType == contract.UpgradeToServerless { // it adds no ownership tag
			require.NoError(t, i.decode(data))
		} else {
			require.ErrorContains(t, i.decode(data), "tags must be 49 at most beside the ownership tag")
		}
	}

	// The workflow's id is no part of the input.
	for _, i := range inputs(t) {
		data := []byte(object(i.good()))
		require.NoError(t, validate(i.schema, data))
		_, err := i.operation.Parse(data, strings.Repeat("x", 256))
		switch i.operation.WorkflowType {
		case contract.ProvisionFlexCluster, contract.UpgradeToFlex:
			require.ErrorContains(t, err, "ownershipTag cannot hold a workflow id of more than 255 characters")
		case contract.UpdateFlexCluster, contract.UpgradeToDedicated:
			require.ErrorContains(t, err, "workflowId must have 255 characters at most")
		default:
			require.NoError(t, err)
		}
	}
}

// The inputs, results and failures of recorded runs keep to the schemas.
func TestRecordedRunsKeepToTheSchemas(t *testing.T) {
	t.Parallel()
	inputSchemas := map[string]*jsonschema.Schema{}
	for _, i := range inputs(t) {
		inputSchemas[i.operation.WorkflowType] = i.schema
	}
	cluster, lease, details := compile(t, "Cluster"), compile(t, "LeaseResult"), compile(t, "FailureDetails")
	files, err := filepath.Glob("../../../workflows/testdata/*.json")
	require.NoError(t, err)
	var results, failures int
	for _, file := range files {
		all := events(t, file)
		started := all[0].Started
		input := inputSchemas[started.WorkflowType.Name]
		if input == nil {
			continue // it is no operation on a cluster
		}
		err := validate(input, started.Input.Payloads[0].Data)
		invalid := strings.HasPrefix(filepath.Base(file), "invalid-input-")
		require.Equal(t, invalid, err != nil, "%s: %v", file, err)
		result := cluster
		if started.WorkflowType.Name == contract.LeaseFlexCluster {
			result = lease
		}
		for _, e := range all {
			for _, p := range e.Completed.Result.Payloads {
				results++
				require.NoError(t, validate(result, p.Data), file)
			}
			for _, p := range e.Failed.Failure.Info.Details.Payloads {
				failures++
				require.NoError(t, validate(details, p.Data), file)
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

// The smallest and the fullest results keep to the schemas, and a result may get fields.
func TestResultsKeepToTheSchemas(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"Cluster": contract.Cluster{
			ClusterType: contract.ClusterTypeFlex, Outcome: contract.Created,
			Tags: []contract.Tag{}, Warnings: []string{},
		},
		"FailureDetails": contract.FailureDetails{
			Parameters: []string{"x"}, Violations: []contract.Violation{{}}, Differences: []contract.Difference{{}},
		},
		"Status":       contract.Status{Phase: contract.PhaseWaiting},
		"WaitProgress": contract.WaitProgress{StateName: contract.StateIdle, Errors: 1},
	} {
		data, err := json.Marshal(value)
		require.NoError(t, err)
		require.NoError(t, validate(compile(t, name), data))
		grown := append([]byte(`{"new":1,`), bytes.TrimPrefix(data, []byte("{"))...)
		require.NoError(t, validate(compile(t, name), grown), name)
	}
	gone, err := json.Marshal(contract.Cluster{
		StateName: contract.StateDeleted, Outcome: contract.Unchanged, Tags: []contract.Tag{}, Warnings: []string{},
	})
	require.NoError(t, err)
	require.NoError(t, validate(compile(t, "Cluster"), gone), "of a cluster that was gone already, no kind is known")
	require.Error(t, validate(compile(t, "Status"), []byte(`{"phase":"ASLEEP","since":"2026-11-23T00:00:00Z"}`)))
	require.Error(t, validate(compile(t, "Status"), []byte(`{"phase":"DONE","since":"yesterday"}`)))
}
