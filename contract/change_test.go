package contract_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// An update asks for something. What cannot be read asks for something too, and is told by itself.
func TestNothingToChange(t *testing.T) {
	t.Parallel()
	const nothing = "tags must be given where terminationProtectionEnabled is left out: there is nothing to change"
	for fields, want := range map[string]string{
		`"tags":[]`:                                     "",
		`"tags":[{"key":"a","value":"b"}]`:              "",
		`"terminationProtectionEnabled":false`:          "",
		`"terminationProtectionEnabled":true`:           "",
		`"terminationProtectionEnabled":null,"tags":[]`: "",
		`"tags":[],"terminationProtectionEnabled":true`: "",

		`"adopt":true`:                        nothing,
		`"tags":null`:                         nothing,
		`"terminationProtectionEnabled":null`: nothing,
		`"tags":null,"terminationProtectionEnabled":null`: nothing,

		`"tags":{}`: "tags must be an array, got a JSON object",
		`"terminationProtectionEnabled":1`: "terminationProtectionEnabled must be true or false, " +
			"got a JSON number",
		`"providerSettings":{},"tags":[]`: "providerSettings is not a known field",
		`"ownershipTag":false,"tags":[]`:  "ownershipTag is not a known field",
		`"tags":[{"key":"atlas-provisioner-workflow","value":"mine"}]`: "tags[0].key is " +
			"atlas-provisioner-workflow, which is reserved",
	} {
		in, err := contract.Parse[contract.UpdateFlexClusterInput](
			[]byte(`{"groupId":"`+group+`","name":"orders",`+fields+`}`), "id")
		if want != "" {
			require.EqualError(t, err, invalid(want), fields)
			continue
		}
		require.NoError(t, err, fields)
		require.NoError(t, contract.Validate(in, "id"), fields)
	}
}

// Tags that are left out stay as they are; an empty list takes all away. JSON keeps the two apart.
func TestLeftOutAndEmptyTags(t *testing.T) {
	t.Parallel()
	protect := update()
	protect.TerminationProtectionEnabled = ptr(false)
	up := toDedicated()
	for text, tags := range map[string][]contract.Tag{
		``:          nil,
		`"tags":[]`: {},
		`"tags":[{"key":"team","value":"orders"}]`: team,
	} {
		protect.Tags, up.Tags = tags, tags
		for _, r := range []contract.Request{protect, up} {
			sent := marshal(t, r)
			if text == "" {
				require.NotContains(t, string(sent), `"tags"`)
			} else {
				require.Contains(t, string(sent), text)
			}
			read, err := r.Operation().Parse(sent, "id")
			require.NoError(t, err)
			require.Equal(t, r, read)
			require.Empty(t, contract.Differences(r.Fields(), read.Fields()))
		}
		// What the workflow hands on to its activities.
		var asked contract.Asked
		require.NoError(t, json.Unmarshal(marshal(t, protect.Asked("id")), &asked))
		require.Equal(t, protect.Asked("id"), asked)
	}
	null, err := contract.Parse[contract.UpgradeToDedicatedInput](
		append([]byte(`{"tags":null,"terminationProtectionEnabled":null,`), marshal(t, toDedicated())[1:]...), "id")
	require.NoError(t, err)
	require.Equal(t, toDedicated(), null, "null is as good as left out")
}

// A cluster is deleted by its id where the input has one.
func TestClusterID(t *testing.T) {
	t.Parallel()
	const rule = "id must be the cluster's id of 24 hexadecimal digits (0-9, a-f), or be left out, got %q"
	in := remove()
	for _, id := range []string{"", strings.Repeat("0", 24), "abcdef0123456789abcdef01"} {
		in.ID = id
		require.NoError(t, contract.Validate(in, "id"), id)
	}
	for _, id := range []string{
		" ", strings.Repeat("0", 23), strings.Repeat("0", 25), "ABCDEF0123456789ABCDEF01", group + "\n", "orders",
	} {
		in.ID = id
		require.EqualError(t, contract.Validate(in, "id"), invalid(fmt.Sprintf(rule, id)))
	}
	in.ID = text(1000)
	require.EqualError(t, contract.Validate(in, "id"), invalid(fmt.Sprintf(rule, text(100)+"…")))
	read, err := contract.Parse[contract.DeleteClusterInput](
		append([]byte(`{"id":null,"removeTerminationProtection":true,`), marshal(t, remove())[1:]...), "id")
	require.NoError(t, err)
	require.Empty(t, read.ID)
	require.True(t, read.RemoveTerminationProtection)
}

// The size of a dedicated cluster is needed, and it is M10 or larger.
func TestInstanceSize(t *testing.T) {
	t.Parallel()
	const rule = "providerSettings.instanceSizeName must be the size of a dedicated cluster, such as M10, got %q"
	in := toDedicated()
	for _, size := range []string{"M10", "M20", "M40_NVME", "R40", "M100", "R700"} {
		in.ProviderSettings.InstanceSizeName = size
		require.NoError(t, contract.Validate(in, "id"), size)
	}
	for _, size := range []string{
		"", "M", "10", "M0", "M2", "M5", "M9", "M01", "m10", " M10", "M10\n", "M10_", "M40-NVME", "FLEX",
	} {
		in.ProviderSettings.InstanceSizeName = size
		require.EqualError(t, contract.Validate(in, "id"), invalid(fmt.Sprintf(rule, size)), size)
	}
	in = toDedicated()
	in.ProviderSettings.ProviderName, in.ProviderSettings.DiskSizeGB = "AWS", 10
	require.EqualError(t, contract.Validate(in, "id"), invalid(
		"providerSettings.diskSizeGB cannot be chosen: leave it out",
		"providerSettings.providerName cannot be chosen: leave it out"))
	flex := toFlex()
	flex.ProviderSettings.ProviderName = "FLEX"
	require.NoError(t, contract.Validate(flex, "id"))
	flex.ProviderSettings.InstanceSizeName = "M10"
	require.EqualError(t, contract.Validate(flex, "id"),
		invalid("providerSettings.instanceSizeName cannot be chosen: leave it out"))
}

func TestIfDifferent(t *testing.T) {
	t.Parallel()
	in := flex()
	for text, updates := range map[string]bool{"": false, "FAIL": false, "UPDATE": true} {
		in.IfDifferent = text
		require.NoError(t, contract.Validate(in, "id"))
		require.Equal(t, updates, in.UpdatesIfDifferent())
	}
	for _, text := range []string{"update", "REPLACE", " UPDATE"} {
		in.IfDifferent = text
		require.EqualError(t, contract.Validate(in, "id"),
			invalid(fmt.Sprintf("ifDifferent must be FAIL or UPDATE, got %q", text)))
		require.False(t, in.UpdatesIfDifferent())
	}
}

// A cluster that is changed always carries the ownership tag, so that the workflow id must fit into it.
func TestOwner(t *testing.T) {
	t.Parallel()
	refused := "workflowId must hold only letters, digits, spaces and ; @ _ - . +, since it is the value of the " +
		"ownership tag, got %q"
	for id, want := range map[string]string{
		text(255): "", wide(255): "", "a b": "",
		text(256):     "workflowId must have 255 characters at most, since it is the value of the ownership tag",
		"team/orders": fmt.Sprintf(refused, "team/orders"),
		"":            fmt.Sprintf(refused, ""),
	} {
		for _, r := range []contract.Request{update(), toDedicated()} {
			err := contract.Validate(r, id)
			if want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, invalid(want))
			}
		}
		require.NoError(t, contract.Validate(remove(), id), "a delete tags nothing")
	}
	require.ErrorContains(t, contract.Validate(toFlex(), "team/orders"), "ownershipTag cannot hold the workflow id")
	without := toFlex()
	without.OwnershipTag = ptr(false)
	require.False(t, without.HasOwnershipTag())
	require.NoError(t, contract.Validate(without, "team/orders"))
}

// The fields of a request say what it asks for and nothing else. What is left out of an update is no field.
func TestFieldsOfChanges(t *testing.T) {
	t.Parallel()
	require.Equal(t, contract.Fields{"groupId": group, "name": "orders", "adopt": "false", "tags.team": "orders"},
		update().Fields())
	require.Equal(t,
		contract.Fields{
			"groupId": group, "name": "orders", "adopt": "true", "tags": "an empty list",
			"terminationProtectionEnabled": "false",
		},
		contract.UpdateFlexClusterInput{
			GroupID: group, Name: "orders", Tags: []contract.Tag{}, TerminationProtectionEnabled: ptr(false),
			TimeoutSeconds: ptr(60), Adopt: true,
		}.Fields())
	require.Equal(t,
		contract.Fields{
			"groupId": group, "name": "orders", "adopt": "false", "removeTerminationProtection": "false",
		},
		remove().Fields())
	require.Equal(t,
		contract.Fields{
			"groupId": group, "name": "orders", "adopt": "true", "removeTerminationProtection": "true", "id": group,
		},
		contract.DeleteClusterInput{
			GroupID: group, Name: "orders", ID: group, RemoveTerminationProtection: true, Adopt: true,
		}.Fields())
	require.Equal(t,
		contract.Fields{
			"groupId": group, "name": "orders", "ownershipTag": "true", "terminationProtectionEnabled": "false",
			"providerSettings.backingProviderName": "AWS", "providerSettings.regionName": "US_EAST_1",
		},
		toFlex().Fields())
	require.Equal(t,
		contract.Fields{
			"groupId": group, "name": "orders", "adopt": "false",
			"providerSettings.backingProviderName": "AWS", "providerSettings.regionName": "US_EAST_1",
			"providerSettings.instanceSizeName": "M10",
		},
		toDedicated().Fields())
}

// What the conflict of two requests says of fields that may be left out.
func TestConflictOfChanges(t *testing.T) {
	t.Parallel()
	protect := contract.UpdateFlexClusterInput{GroupID: group, Name: "orders", TerminationProtectionEnabled: ptr(true)}
	noTags := contract.UpdateFlexClusterInput{GroupID: group, Name: "orders", Tags: []contract.Tag{}}
	withID, larger := remove(), toDedicated()
	withID.ID, larger.ProviderSettings.InstanceSizeName = group, "M20"
	for _, test := range []struct {
		asked, running contract.Request
		want           string
	}{
		{update(), update(), ""},
		{noTags, update(), `tags is none, requested "an empty list"; tags.team is "orders", requested none`},
		{update(), noTags, `tags is "an empty list", requested none; tags.team is none, requested "orders"`},
		{protect, noTags, `tags is "an empty list", requested none; ` +
			`terminationProtectionEnabled is none, requested "true"`},
		{protect, update(), `tags.team is "orders", requested none; ` +
			`terminationProtectionEnabled is none, requested "true"`},
		{withID, remove(), `id is none, requested "` + group + `"`},
		{remove(), withID, `id is "` + group + `", requested none`},
		{larger, toDedicated(), `providerSettings.instanceSizeName is "M10", requested "M20"`},
	} {
		require.Equal(t, test.want,
			contract.ListDifferences(contract.Differences(test.asked.Fields(), test.running.Fields())))
	}
}

// What each request asks of a cluster that is there.
func TestAskedOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, contract.Asked{Tags: team, Owner: "id"}, update().Asked("id"))
	require.Equal(t, contract.Asked{Place: toDedicated().ProviderSettings, Owner: "id"}, toDedicated().Asked("id"))
	want := contract.Asked{
		Place: place, Tags: []contract.Tag{}, TerminationProtectionEnabled: ptr(false), Owner: "id",
	}
	require.Equal(t, want, toFlex().Asked("id"), "an upgrade to Flex says all of it")
	without := toFlex()
	without.OwnershipTag, want.Owner = ptr(false), ""
	require.Equal(t, want, without.Asked("id"))
}

// What is not asked for is what the cluster has, beside the ownership tag; where it has no tags, that is no tags.
func TestAskedCompleted(t *testing.T) {
	t.Parallel()
	cluster := contract.Cluster{
		Tags:                         append([]contract.Tag{{Key: contract.OwnershipTag, Value: "mine"}}, team...),
		TerminationProtectionEnabled: true,
	}
	require.Equal(t, contract.Asked{Tags: team, TerminationProtectionEnabled: ptr(true), Owner: "id"},
		contract.Asked{Owner: "id"}.Completed(cluster))
	require.Len(t, cluster.Tags, 2, "the cluster keeps its own")
	require.Equal(t, contract.Asked{Tags: []contract.Tag{}, TerminationProtectionEnabled: ptr(false)},
		contract.Asked{}.Completed(contract.Cluster{}))
	asked := contract.Asked{Tags: []contract.Tag{}, TerminationProtectionEnabled: ptr(false)}
	require.Equal(t, asked, asked.Completed(cluster))
}

// A cluster is held against what is asked of it, and against nothing else.
func TestAskedDifferences(t *testing.T) {
	t.Parallel()
	owned := func(owner string, tags ...contract.Tag) []contract.Tag {
		return append([]contract.Tag{{Key: contract.OwnershipTag, Value: owner}}, tags...)
	}
	dedicated := toDedicated().ProviderSettings
	cluster := contract.Cluster{
		ProviderSettings: contract.ProviderSettings{
			ProviderName: "FLEX", BackingProviderName: "AWS", RegionName: "US_EAST_1", DiskSizeGB: 5,
		},
		Tags: owned("mine", team...), TerminationProtectionEnabled: true,
	}
	const tag = "tags." + contract.OwnershipTag
	for _, test := range []struct {
		name  string
		asked contract.Asked
		tags  []contract.Tag // of the cluster; nil for those above
		want  string
	}{
		{name: "nothing", want: ""},
		{name: "what it has", asked: contract.Asked{
			Place: place, Tags: team, TerminationProtectionEnabled: ptr(true), Owner: "mine"}},
		{name: "no tags", asked: contract.Asked{Tags: []contract.Tag{}}, want: `tags.team is "orders", requested none`},
		{name: "another tag", asked: contract.Asked{Tags: []contract.Tag{{Key: "cost", Value: "7"}}},
			want: `tags.cost is none, requested "7"; tags.team is "orders", requested none`},
		{name: "white space", asked: contract.Asked{Tags: []contract.Tag{{Key: " team ", Value: "orders "}}}},
		{name: "tags left out", asked: contract.Asked{TerminationProtectionEnabled: ptr(true)}},
		{name: "no protection", asked: contract.Asked{TerminationProtectionEnabled: ptr(false)},
			want: `terminationProtectionEnabled is "true", requested "false"`},
		{name: "another place", asked: contract.Asked{
			Place: contract.ProviderSettings{BackingProviderName: "GCP", RegionName: "CENTRAL_US"}},
			want: `providerSettings.backingProviderName is "AWS", requested "GCP"; ` +
				`providerSettings.regionName is "US_EAST_1", requested "CENTRAL_US"`},
		{name: "a size", asked: contract.Asked{Place: dedicated},
			want: `providerSettings.instanceSizeName is none, requested "M10"`},
		{name: "another owner", asked: contract.Asked{Owner: "yours"}, want: tag + ` is "mine", requested "yours"`},
		{name: "no owner", asked: contract.Asked{Owner: "mine"}, tags: team, want: tag + ` is none, requested "mine"`},
		{name: "an owner that Atlas trimmed", asked: contract.Asked{Owner: "mine "}},
		{name: "an owner where none is asked for", asked: contract.Asked{Tags: team}},
		{name: "an owner and tags", asked: contract.Asked{Tags: []contract.Tag{}, Owner: "mine"}, tags: team,
			want: tag + ` is none, requested "mine"; tags.team is "orders", requested none`},
	} {
		found := cluster
		if test.tags != nil {
			found.Tags = test.tags
		}
		require.Equal(t, test.want, contract.ListDifferences(test.asked.Differences(found)), test.name)
	}
	larger := cluster
	larger.ProviderSettings.InstanceSizeName = "M20"
	require.Equal(t, `providerSettings.instanceSizeName is "M20", requested "M10"`,
		contract.ListDifferences(contract.Asked{Place: dedicated}.Differences(larger)))
}
