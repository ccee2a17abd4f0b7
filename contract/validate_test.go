package contract_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

const next = ". Nothing was sent to Atlas: correct the input and start the workflow again"

// invalid is the text of an input error with these violations.
func invalid(violations ...string) string {
	return "invalid input: " + strings.Join(violations, "; ") + next
}

// Each rule at its boundary, in every operation whose input has the field.
func TestValidate(t *testing.T) {
	t.Parallel()
	const (
		groupRule  = `groupId must be the project's id of 24 hexadecimal digits (0-9, a-f), got %q`
		nameRule   = `name must begin with a letter or digit and hold only letters, digits and hyphens, got %q`
		hyphenRule = `name must not end in a hyphen, nor may its first 23 characters, which make the host name, got %q`
		cloudRule  = `providerSettings.backingProviderName must be AWS, AZURE or GCP, got %q`
		regionRule = "providerSettings.regionName must name a region, such as US_EAST_1"
		timeRule   = "timeoutSeconds must be from 1 to 86400, got %d"
	)
	type rule struct {
		name   string
		change func(*contract.UpgradeToServerlessInput)
		want   []string
	}
	var rules []rule
	add := func(name string, change func(*contract.UpgradeToServerlessInput), want ...string) {
		rules = append(rules, rule{name, change, want})
	}
	groupID := func(id string, want ...string) {
		add(fmt.Sprintf("groupId %q", id), func(in *contract.UpgradeToServerlessInput) { in.GroupID = id }, want...)
	}
	name := func(name string, want ...string) {
		add(fmt.Sprintf("name %q", name), func(in *contract.UpgradeToServerlessInput) { in.Name = name }, want...)
	}
	tags := func(name string, tags []contract.Tag, want ...string) {
		add("tags "+name, func(in *contract.UpgradeToServerlessInput) { in.Tags = tags }, want...)
	}

	groupID(strings.Repeat("0", 24))
	groupID("abcdef0123456789abcdef01")
	for _, id := range []string{
		"", strings.Repeat("0", 23), strings.Repeat("0", 25), strings.Repeat("g", 24), "ABCDEF0123456789ABCDEF01",
		group + "\n", " " + group, "../" + strings.Repeat("0", 21), strings.Repeat("é", 12),
	} {
		groupID(id, fmt.Sprintf(groupRule, id))
	}

	for _, good := range []string{"a", "0", "Orders-2", "a--b", text(64)} {
		name(good)
	}
	for _, bad := range []string{"", "-", "-a", "a b", "a_b", "a.b", "a/b", "..", "ö", "orders\n", " a", "a\x00"} {
		name(bad, fmt.Sprintf(nameRule, bad))
	}
	name(text(65), "name must have 64 characters at most, got 65")
	name(text(64)+"-", "name must have 64 characters at most, got 65")
	for _, bad := range []string{"a-", text(22) + "-", text(22) + "-x"} {
		name(bad, fmt.Sprintf(hyphenRule, bad))
	}
	name(text(23) + "-x")
	name(text(23) + "-") // only the first 23 make the host name
	name(text(21) + "-x")

	for _, cloud := range []string{"AWS", "AZURE", "GCP"} {
		add("provider "+cloud,
			func(in *contract.UpgradeToServerlessInput) { in.ProviderSettings.BackingProviderName = cloud })
	}
	for _, cloud := range []string{"", "aws", "TENANT", "AWS "} {
		add("provider "+cloud,
			func(in *contract.UpgradeToServerlessInput) { in.ProviderSettings.BackingProviderName = cloud },
			fmt.Sprintf(cloudRule, cloud))
	}
	add("a region that only Atlas knows",
		func(in *contract.UpgradeToServerlessInput) { in.ProviderSettings.RegionName = "MOON_1" })
	add("no region", func(in *contract.UpgradeToServerlessInput) { in.ProviderSettings.RegionName = "" }, regionRule)
	add("a disk size", func(in *contract.UpgradeToServerlessInput) { in.ProviderSettings.DiskSizeGB = 5 },
		"providerSettings.diskSizeGB cannot be chosen: leave it out")

	for _, s := range []int{1, 1800, 86400} {
		add(fmt.Sprint("timeoutSeconds ", s), func(in *contract.UpgradeToServerlessInput) { in.TimeoutSeconds = &s })
	}
	for _, s := range []int{0, -1, 86401, 1 << 40} {
		add(fmt.Sprint("timeoutSeconds ", s), func(in *contract.UpgradeToServerlessInput) { in.TimeoutSeconds = &s },
			fmt.Sprintf(timeRule, s))
	}

	tags("none", []contract.Tag{})
	tags("1 character", []contract.Tag{{Key: "a", Value: "b"}})
	tags("255 characters", []contract.Tag{{Key: text(255), Value: text(255)}})
	tags("255 characters of two bytes", []contract.Tag{{Key: wide(255), Value: wide(255)}})
	tags("the same value", []contract.Tag{{Key: "a", Value: "b"}, {Key: "c", Value: "b"}})
	tags("another case",
		[]contract.Tag{{Key: "a", Value: "b"}, {Key: "A", Value: "b"}, {Key: "ATLAS-PROVISIONER-WORKFLOW", Value: "b"}})
	tags("empty", []contract.Tag{{}}, "tags[0].key must have 1 to 255 characters, got 0",
		"tags[0].value must have 1 to 255 characters, got 0")
	tags("256 characters", []contract.Tag{{Key: "a", Value: "b"}, {Key: wide(256), Value: text(256)}},
		"tags[1].key must have 1 to 255 characters, got 256", "tags[1].value must have 1 to 255 characters, got 256")
	tags("twice",
		[]contract.Tag{{Key: "a", Value: "b"}, {Key: "c", Value: "d"}, {Key: "a", Value: "b"}, {Key: "a", Value: "x"}},
		`tags[2].key is given twice: "a"`, `tags[3].key is given twice: "a"`)
	tags("every character that Atlas takes", []contract.Tag{{Key: "aZ9 ;@_.+-", Value: "-+ 1"}})
	tags("a link", []contract.Tag{{Key: "repo", Value: "github:company/repo"}},
		`tags[0].value must hold only letters, digits, spaces and ; @ _ - . +, and more than spaces, got `+
			`"github:company/repo"`)
	tags("spaces alone", []contract.Tag{{Key: "  ", Value: "a\nb"}},
		`tags[0].key must hold only letters, digits, spaces and ; @ _ - . +, and more than spaces, got "  "`,
		`tags[0].value must hold only letters, digits, spaces and ; @ _ - . +, and more than spaces, got "a\nb"`)
	tags("twice with space around", []contract.Tag{{Key: "a", Value: "b"}, {Key: "a ", Value: "b"}},
		`tags[1].key is given twice: "a "`)
	tags("ours", []contract.Tag{{Key: "atlas-provisioner-workflow", Value: "x"}},
		"tags[0].key is atlas-provisioner-workflow, which is reserved")

	for _, test := range rules {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			up := serverless()
			test.change(&up)
			for _, o := range contract.Operations() {
				input, has := like(t, up, o)
				request, parsed := o.Parse(input, "id")
				var want []string
				for _, v := range test.want {
					if has(v) {
						want = append(want, v)
					}
				}
				for _, err := range []error{parsed, contract.Validate(request, "id")} {
					if want == nil {
						require.NoError(t, err, o.WorkflowType)
						continue
					}
					require.EqualError(t, err, invalid(want...), o.WorkflowType)
					require.IsType(t, &contract.InputError{}, err)
				}
			}
		})
	}
}

// like makes an input of an operation from the fields of another that it has too. has tells the violations of those.
func like(t *testing.T, in contract.UpgradeToServerlessInput, o contract.Operation) (input []byte,
	has func(violation string) bool) {
	if o.WorkflowType == contract.UpgradeToDedicated {
		in.ProviderSettings.InstanceSizeName = "M10"
	}
	var all, own map[string]any
	require.NoError(t, json.Unmarshal(marshal(t, in), &all))
	all["terminationProtectionEnabled"], all["leaseSeconds"] = false, 3600
	own = map[string]any{}
	typ := reflect.TypeOf(o.Input)
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		own[name] = nil
		if value, ok := all[name]; ok {
			own[name] = value
		}
	}
	return marshal(t, own), func(violation string) bool {
		field := violation[:strings.IndexAny(violation, " .[")]
		_, ok := own[field]
		return ok
	}
}

// What one workflow takes for its provider, the other does not.
func TestProviderName(t *testing.T) {
	t.Parallel()
	in, up := flex(), serverless()
	in.ProviderSettings.ProviderName, up.ProviderSettings.ProviderName = "FLEX", "SERVERLESS"
	require.NoError(t, contract.Validate(in, "id"))
	require.NoError(t, contract.Validate(up, "id"))
	in.ProviderSettings.ProviderName, up.ProviderSettings.ProviderName = "SERVERLESS", "FLEX"
	require.EqualError(t, contract.Validate(in, "id"),
		invalid(`providerSettings.providerName must be FLEX or left out, got "SERVERLESS"`))
	require.EqualError(t, contract.Validate(up, "id"),
		invalid(`providerSettings.providerName must be SERVERLESS or left out, got "FLEX"`))
}

// The ownership tag holds the workflow id, which the caller may have chosen.
func TestOwnershipTag(t *testing.T) {
	t.Parallel()
	const long = "ownershipTag cannot hold a workflow id of more than 255 characters: use a shorter id, or set it " +
		"to false"
	refused := func(id string) string {
		return fmt.Sprintf(
			"ownershipTag cannot hold the workflow id %q: a tag holds only letters, digits, spaces and ; @ _ - . +."+
				" Use such an id, or set it to false", id)
	}
	for _, test := range []struct {
		name, workflowID string
		tag              *bool
		want             string
	}{
		{"longest", text(255), nil, ""},
		{"longest, in two bytes each", wide(255), ptr(true), ""},
		{"too long", text(256), nil, invalid(long)},
		{"too long, in two bytes each", wide(256), ptr(true), invalid(long)},
		{"too long, and not asked for", text(1000), ptr(false), ""},
		{"of a schedule", "nightly-2026-11-25T11:00:00Z", nil, ""},
		{"with another time", "nightly-2026-11-25T11:00", nil, invalid(refused("nightly-2026-11-25T11:00"))},
		{"with a slash", "team/orders", nil, invalid(refused("team/orders"))},
		{"with a slash, and not asked for", "team/orders", ptr(false), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := flex()
			in.OwnershipTag = test.tag
			_, parsed := contract.Parse[contract.ProvisionFlexClusterInput](marshal(t, in), test.workflowID)
			for _, err := range []error{contract.Validate(in, test.workflowID), parsed} {
				if test.want == "" {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, test.want)
				}
			}
		})
	}
}

// Atlas takes 50 tags on a cluster, the ownership tag included.
func TestTagCount(t *testing.T) {
	t.Parallel()
	var tags []contract.Tag
	for i := range 51 {
		tags = append(tags, contract.Tag{Key: fmt.Sprint(i), Value: "x"})
	}
	in, up, change, dedicated, fromFree := flex(), serverless(), update(), toDedicated(), toFlex()
	for _, n := range []int{49, 50} {
		change.Tags, dedicated.Tags, fromFree.Tags = tags[:n], tags[:n], tags[:n]
		for _, r := range []contract.Request{change, dedicated, fromFree} {
			if err := contract.Validate(r, "id"); n == 49 {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, invalid("tags must be 49 at most beside the ownership tag, "+
					"since Atlas takes 50 on a cluster, got 50"))
			}
		}
	}
	fromFree.OwnershipTag = ptr(false)
	require.NoError(t, contract.Validate(fromFree, "id"))

	in.Tags, up.Tags = tags[:49], tags[:50]
	require.NoError(t, contract.Validate(in, "id"))
	require.NoError(t, contract.Validate(up, "id"))
	in.Tags, up.Tags = tags[:50], tags
	require.EqualError(t, contract.Validate(in, "id"),
		invalid("tags must be 49 at most beside the ownership tag, since Atlas takes 50 on a cluster, got 50"))
	require.EqualError(t, contract.Validate(up, "id"),
		invalid("tags must be 50 at most, since Atlas takes 50 on a cluster, got 51"))
	in.OwnershipTag = ptr(false)
	require.NoError(t, contract.Validate(in, "id"))
}

// Everything that is wrong is said at once, in the order of the fields.
func TestAllViolations(t *testing.T) {
	t.Parallel()
	in := contract.ProvisionFlexClusterInput{
		GroupID: "x", Name: "-", TimeoutSeconds: ptr(0),
		ProviderSettings: contract.ProviderSettings{ProviderName: "M0", InstanceSizeName: "M0", DiskSizeGB: 1},
		IfDifferent:      "update",
		Tags:             []contract.Tag{{Key: "atlas-provisioner-workflow"}},
	}
	want := []contract.Violation{
		{Field: "groupId", Problem: `must be the project's id of 24 hexadecimal digits (0-9, a-f), got "x"`},
		{
			Field:   "name",
			Problem: `must begin with a letter or digit and hold only letters, digits and hyphens, got "-"`,
		},
		{Field: "providerSettings.backingProviderName", Problem: `must be AWS, AZURE or GCP, got ""`},
		{Field: "providerSettings.regionName", Problem: "must name a region, such as US_EAST_1"},
		{Field: "providerSettings.diskSizeGB", Problem: "cannot be chosen: leave it out"},
		{Field: "providerSettings.providerName", Problem: `must be FLEX or left out, got "M0"`},
		{Field: "providerSettings.instanceSizeName", Problem: "cannot be chosen: leave it out"},
		{Field: "tags[0].value", Problem: "must have 1 to 255 characters, got 0"},
		{Field: "tags[0].key", Problem: "is atlas-provisioner-workflow, which is reserved"},
		{Field: "timeoutSeconds", Problem: "must be from 1 to 86400, got 0"},
		{
			Field:   "ownershipTag",
			Problem: "cannot hold a workflow id of more than 255 characters: use a shorter id, or set it to false",
		},
		{Field: "ifDifferent", Problem: `must be FAIL or UPDATE, got "update"`},
	}
	var texts []string
	for _, v := range want {
		texts = append(texts, v.Field+" "+v.Problem)
		require.Equal(t, v.Field+" "+v.Problem, v.String())
	}
	_, parsed := contract.Parse[contract.ProvisionFlexClusterInput](marshal(t, in), text(256))
	for _, err := range []error{contract.Validate(in, text(256)), parsed} {
		require.Equal(t, &contract.InputError{Violations: want}, err)
		require.EqualError(t, err, invalid(texts...))
	}

	up := contract.UpgradeToServerlessInput{}
	_, parsed = contract.Parse[contract.UpgradeToServerlessInput]([]byte(`{}`), "id")
	require.Equal(t, contract.Validate(up, "id"), parsed)
	require.Len(t, parsed.(*contract.InputError).Violations, 4)
}

// What does not fit is named with its path, and costs no second violation; what else is wrong is named too.
func TestParse(t *testing.T) {
	t.Parallel()
	const (
		object = "input must be one JSON object"
		empty  = `groupId must be the project's id of 24 hexadecimal digits (0-9, a-f), got ""; ` +
			`name must begin with a letter or digit and hold only letters, digits and hyphens, got ""; ` +
			`providerSettings.backingProviderName must be AWS, AZURE or GCP, got ""; providerSettings.regionName ` +
			`must name a region, such as US_EAST_1`
		noCloud  = `providerSettings.backingProviderName must be AWS, AZURE or GCP, got ""`
		noRegion = "providerSettings.regionName must name a region, such as US_EAST_1"
	)
	// The rest of an object that begins with what is tested.
	const (
		good = `"groupId":"32b6e34b3d91647abb20e7b8","name":"orders",` +
			`"providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1"}}`
		bare  = `"groupId":"32b6e34b3d91647abb20e7b8","name":"orders"}`
		named = `"groupId":"32b6e34b3d91647abb20e7b8","providerSettings":{"backingProviderName":"AWS",` +
			`"regionName":"US_EAST_1"}}`
	)
	for _, test := range []struct {
		name, input string
		want        []string
	}{
		{"nothing", "", []string{object, empty}},
		{"null", "null", []string{object, empty}},
		{"array", "[]", []string{object, empty}},
		{"string", `"orders"`, []string{object, empty}},
		{"number", "1", []string{object, empty}},
		{"two objects", `{}{}`, []string{object, empty}},
		{"half an object", `{"name":`, []string{object, empty}},
		{"no UTF-8 either", "\xff\x00", []string{object, empty}},
		{"empty object", "{}", []string{empty}},

		{"good", `{` + good, nil},
		{"white space", " {\n\t" + good + " \n", nil},
		{"another case, as encoding/json has it", `{"TIMEOUTSECONDS":60,` + good, nil},
		{"twice", `{"name":"orders",` + good, []string{"name is given twice"}},
		{"twice, in another case", `{"Name":"orders",` + good, []string{"name is given twice"}},
		{"twice, nested", `{"providerSettings":{"regionName":"EU_WEST_1","backingProviderName":"AWS",` +
			`"regionName":"US_EAST_1"},` + bare,
			[]string{"providerSettings.regionName is given twice"}},
		{"twice in a tag", `{"tags":[{"key":"a","value":"b","key":"c"}],` + good, []string{"tags[0].key is given " +
			"twice"}},
		{"half a character", `{"providerSettings":{"backingProviderName":"AWS","regionName":"\ud83d"},` + bare,
			[]string{"providerSettings.regionName must be text in UTF-8"}},
		{"not UTF-8", `{"tags":[{"key":"a` + "\xff" + `","value":"b"}],` + good, []string{"tags[0].key must be " +
			"text in UTF-8"}},

		{"unknown", `{"tag":{},` + good, []string{`tag is not a known field`}},
		{"unknown ones", `{"z":1,"timeout":"30m",` + good,
			[]string{`timeout is not a known field`, `z is not a known field`}},
		{"unknown and nested", `{"providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1",` +
			`"size":"M0","electable":{}},` + bare,
			[]string{`providerSettings.electable is not a known field`, `providerSettings.size is not a known field`}},
		{"a size where there is none to choose", `{"providerSettings":{"backingProviderName":"AWS",` +
			`"regionName":"US_EAST_1","instanceSizeName":"M0"},` + bare,
			[]string{`providerSettings.instanceSizeName cannot be chosen: leave it out`}},
		{"unknown, and hiding nothing", `{"providerSettings":{"region":"US_EAST_1"},` + bare,
			[]string{`providerSettings.region is not a known field`, noCloud, noRegion}},
		{"unknown in a tag", `{"tags":[{"key":"a","value":"b"},{"key":"c","value":"d","x":1}],` + good,
			[]string{`tags[1].x is not a known field`}},
		{"unknown, in two lines", `{"a\nb":1,` + good, []string{`"a\nb" is not a known field`}},
		{"unknown, with a quote", `{"a\"b":1,` + good, []string{`"a\"b" is not a known field`}},
		{"unknown, and empty", `{"":1,` + good, []string{`"" is not a known field`}},

		{"name a number", `{"name":7,` + named, []string{"name must be a string, got a JSON number"}},
		{"name true", `{"name":true,` + named, []string{"name must be a string, got a JSON bool"}},
		{"name an array", `{"name":["orders"],` + named, []string{"name must be a string, got a JSON array"}},
		{"name an object", `{"name":{},` + named, []string{"name must be a string, got a JSON object"}},
		{"name null", `{"name":null,` + named, []string{`name must begin with a letter or digit and hold only ` +
			`letters, digits and hyphens, got ""`}},
		{"place a string", `{"providerSettings":"AWS",` + bare, []string{"providerSettings must be an object, got " +
			"a JSON string"}},
		{"place an array", `{"providerSettings":[],` + bare, []string{"providerSettings must be an object, got a " +
			"JSON array"}},
		{"place null", `{"providerSettings":null,` + bare, []string{noCloud, noRegion}},
		{"all of the place mistyped", `{"providerSettings":{"backingProviderName":1,"regionName":[],` +
			`"providerName":{},"diskSizeGB":"5","x":1},` + bare, []string{
			"providerSettings.backingProviderName must be a string, got a JSON number",
			"providerSettings.diskSizeGB must be a number, got a JSON string",
			"providerSettings.providerName must be a string, got a JSON object",
			"providerSettings.regionName must be a string, got a JSON array",
			`providerSettings.x is not a known field`,
		}},
		{"one of the place mistyped", `{"providerSettings":{"backingProviderName":1},` + bare,
			[]string{"providerSettings.backingProviderName must be a string, got a JSON number", noRegion}},
		{"tags an object", `{"tags":{"team":"orders"},` + good, []string{"tags must be an array, got a JSON object"}},
		{"tags null", `{"tags":null,` + good, nil},
		{"tags of strings", `{"tags":["team","shop"],` + good, []string{"tags[0] must be an object, got a JSON " +
			"string", "tags[1] must be an object, got a JSON string"}},
		{"tags null inside", `{"tags":[null],` + good,
			[]string{"tags[0].key must have 1 to 255 characters, got 0", "tags[0].value must have 1 to 255 " +
				"characters, got 0"}},
		{"tags mistyped", `{"tags":[{"key":"a","value":1},{"key":null,"value":"b"},{"key":[],"value":{}}],` + good, []string{
			"tags[0].value must be a string, got a JSON number", "tags[2].key must be a string, got a JSON " +
				"array", "tags[2].value must be a string, got a JSON object",
			"tags[1].key must have 1 to 255 characters, got 0",
		}},
		{"ten tags are not one", `{"tags":[{"key":"0","value":"x"},5,{},{},{},{},{},{},{},{},{"key":"",` +
			`"value":"x"}],` + good, []string{
			"tags[1] must be an object, got a JSON number",
			"tags[2].key must have 1 to 255 characters, got 0", "tags[2].value must have 1 to 255 characters, got " +
				"0", `tags[2].key is given twice: ""`,
		}},
		{"protection a string", `{"terminationProtectionEnabled":"true",` + good,
			[]string{"terminationProtectionEnabled must be true or false, got a JSON string"}},
		{"ownership a number", `{"ownershipTag":0,` + good, []string{"ownershipTag must be true or false, got a " +
			"JSON number"}},
		{"time a string", `{"timeoutSeconds":"30m",` + good, []string{"timeoutSeconds must be a whole number, got " +
			"a JSON string"}},
		{"time a fraction", `{"timeoutSeconds":1.5,` + good, []string{"timeoutSeconds must be a whole number, got " +
			"a JSON number 1.5"}},
		{"time with an exponent", `{"timeoutSeconds":1e3,` + good, []string{"timeoutSeconds must be a whole " +
			"number, got a JSON number 1e3"}},
		{"time far too long", `{"timeoutSeconds":99999999999999999999,` + good, []string{"timeoutSeconds must be " +
			"a whole number, got a JSON number 99999999999999999999"}},
		{"time 0", `{"timeoutSeconds":0,` + good, []string{"timeoutSeconds must be from 1 to 86400, got 0"}},
		{"time null", `{"timeoutSeconds" : null ,` + good, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			provision, provisionErr := contract.Parse[contract.ProvisionFlexClusterInput]([]byte(test.input), "id")
			upgrade, upgradeErr := contract.Parse[contract.UpgradeToServerlessInput]([]byte(test.input), "id")
			if test.want == nil {
				require.NoError(t, provisionErr)
				require.NoError(t, upgradeErr)
				require.Equal(t, "orders", provision.Name)
				require.Equal(t, "orders", upgrade.Name)
				return
			}
			for _, err := range []error{provisionErr, upgradeErr} {
				require.IsType(t, &contract.InputError{}, err)
				if test.name == "ten tags are not one" { // the rest of them is as the first
					require.ErrorContains(t, err, strings.Join(test.want, "; "))
					require.ErrorContains(t, err, "tags[10].key must have 1 to 255 characters, got 0")
					continue
				}
				require.EqualError(t, err, invalid(test.want...))
			}
		})
	}

	t.Run("the backup is the upgrade's", func(t *testing.T) {
		t.Parallel()
		for value, want := range map[string]string{
			`{"serverlessContinuousBackupEnabled":false}`: "",
			`{"serverlessContinuousBackupEnabled":null}`:  "",
			`{}`:   "",
			`null`: "",
			`true`: "serverlessBackupOptions must be an object, got a JSON bool",
			`{"serverlessContinuousBackupEnabled":"true"}`: "serverlessBackupOptions." +
				"serverlessContinuousBackupEnabled must be true or false, got a JSON string",
			`{"continuous":true}`: `serverlessBackupOptions.continuous is not a known field`,
		} {
			input := []byte(`{"serverlessBackupOptions":` + value + `,` + good)
			in, err := contract.Parse[contract.UpgradeToServerlessInput](input, "id")
			if want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, invalid(want))
			}
			if strings.Contains(value, "false") {
				require.Equal(t, "false", in.ContinuousBackup())
			}
			_, err = contract.Parse[contract.ProvisionFlexClusterInput](input, "id")
			require.EqualError(t, err, invalid(`serverlessBackupOptions is not a known field`))
		}
	})
}

// What the starter sends is what the workflow reads.
func TestParseWhatWasSent(t *testing.T) {
	t.Parallel()
	in := flex()
	in.ProviderSettings.ProviderName, in.Tags, in.TerminationProtectionEnabled = "FLEX", team, true
	in.TimeoutSeconds, in.OwnershipTag = ptr(86400), ptr(false)
	gotIn, err := contract.Parse[contract.ProvisionFlexClusterInput](marshal(t, in), "id")
	require.NoError(t, err)
	require.Equal(t, in, gotIn)

	up := serverless()
	up.ProviderSettings.ProviderName, up.Tags, up.TerminationProtectionEnabled = "SERVERLESS", team, true
	up.TimeoutSeconds, up.OwnershipTag = ptr(1), ptr(true)
	up.ServerlessBackupOptions = &contract.ServerlessBackupOptions{ServerlessContinuousBackupEnabled: ptr(true)}
	gotUp, err := contract.Parse[contract.UpgradeToServerlessInput](marshal(t, up), "id")
	require.NoError(t, err)
	require.Equal(t, up, gotUp)
}

// A failure stays well within what Temporal takes, however long the input is.
func TestErrorIsBounded(t *testing.T) {
	t.Parallel()
	in := contract.ProvisionFlexClusterInput{Name: strings.Repeat("?", 2<<20)}
	for range 100_000 {
		in.Tags = append(in.Tags, contract.Tag{})
	}
	err := contract.Validate(in, "id")
	require.Less(t, len(err.Error()), 16<<10)
	require.Contains(t, err.Error(), `; input has 299954 more mistakes. Nothing was sent to Atlas`)
	_, err = contract.Parse[contract.ProvisionFlexClusterInput]([]byte(`{"`+strings.Repeat("x", 2<<20)+`": 1}`), "id")
	require.Less(t, len(err.Error()), 16<<10)
}
