package contract_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

var (
	since = time.Date(2026, 9, 1, 12, 0, 5, 0, time.UTC)
	place = contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"}
	team  = []contract.Tag{{Key: "team", Value: "orders"}}
)

// What goes over the wire, letter by letter, and back.
func TestJSON(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		value any
		want  string
	}{
		{"provision",
			contract.ProvisionFlexClusterInput{GroupID: group, Name: "orders", ProviderSettings: place, Tags: team,
				TerminationProtectionEnabled: true, TimeoutSeconds: ptr(1800), OwnershipTag: ptr(false)},
			`{"groupId":"32b6e34b3d91647abb20e7b8","name":"orders",` +
				`"providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1"},` +
				`"tags":[{"key":"team","value":"orders"}],"terminationProtectionEnabled":true,` +
				`"timeoutSeconds":1800,"ownershipTag":false}`},
		{"provision, defaults",
			contract.ProvisionFlexClusterInput{GroupID: group, Name: "orders", ProviderSettings: place},
			`{"groupId":"32b6e34b3d91647abb20e7b8","name":"orders",` +
				`"providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1"}}`},
		{"provision, what is as by default said all the same",
			contract.ProvisionFlexClusterInput{GroupID: group, Name: "orders", ProviderSettings: place,
				TimeoutSeconds: ptr(0), OwnershipTag: ptr(true)},
			`{"groupId":"32b6e34b3d91647abb20e7b8","name":"orders",` +
				`"providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1"},"timeoutSeconds":0,` +
				`"ownershipTag":true}`},
		{"provision, adopting and updating",
			contract.ProvisionFlexClusterInput{GroupID: group, Name: "orders", ProviderSettings: place,
				Adopt: true, IfDifferent: "UPDATE"},
			`{"groupId":"32b6e34b3d91647abb20e7b8","name":"orders",` +
				`"providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1"},"adopt":true,` +
				`"ifDifferent":"UPDATE"}`},
		{"update",
			contract.UpdateFlexClusterInput{GroupID: group, Name: "orders", Tags: team,
				TerminationProtectionEnabled: ptr(false), TimeoutSeconds: ptr(60), Adopt: true},
			`{"groupId":"32b6e34b3d91647abb20e7b8","name":"orders","tags":[{"key":"team","value":"orders"}],` +
				`"terminationProtectionEnabled":false,"timeoutSeconds":60,"adopt":true}`},
		{"update to no tags", contract.UpdateFlexClusterInput{GroupID: group, Name: "orders", Tags: []contract.Tag{}},
			`{"groupId":"32b6e34b3d91647abb20e7b8","name":"orders","tags":[]}`},
		{"update of the protection alone",
			contract.UpdateFlexClusterInput{GroupID: group, Name: "orders", TerminationProtectionEnabled: ptr(true)},
			`{"groupId":"32b6e34b3d91647abb20e7b8","name":"orders","terminationProtectionEnabled":true}`},
		{"delete",
			contract.DeleteClusterInput{GroupID: group, Name: "orders", ID: group, RemoveTerminationProtection: true,
				TimeoutSeconds: ptr(60), Adopt: true},
			`{"groupId":"32b6e34b3d91647abb20e7b8","name":"orders","id":"32b6e34b3d91647abb20e7b8",` +
				`"removeTerminationProtection":true,"timeoutSeconds":60,"adopt":true}`},
		{"delete, defaults", contract.DeleteClusterInput{GroupID: group, Name: "orders"},
			`{"groupId":"32b6e34b3d91647abb20e7b8","name":"orders"}`},
		{"upgrade to Flex",
			contract.UpgradeToFlexInput{GroupID: group, Name: "orders", ProviderSettings: place, Tags: team,
				TerminationProtectionEnabled: true, TimeoutSeconds: ptr(60), OwnershipTag: ptr(false)},
			`{"groupId":"32b6e34b3d91647abb20e7b8","name":"orders",` +
				`"providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1"},` +
				`"tags":[{"key":"team","value":"orders"}],"terminationProtectionEnabled":true,` +
				`"timeoutSeconds":60,"ownershipTag":false}`},
		{"upgrade to dedicated",
			contract.UpgradeToDedicatedInput{GroupID: group, Name: "orders",
				ProviderSettings: contract.ProviderSettings{
					BackingProviderName: "AWS", RegionName: "US_EAST_1", InstanceSizeName: "M10"},
				Tags: []contract.Tag{}, TerminationProtectionEnabled: ptr(false), TimeoutSeconds: ptr(60), Adopt: true},
			`{"groupId":"32b6e34b3d91647abb20e7b8","name":"orders",` +
				`"providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1","instanceSizeName":"M10"},` +
				`"tags":[],"terminationProtectionEnabled":false,"timeoutSeconds":60,"adopt":true}`},
		{"upgrade to dedicated, keeping tags and protection",
			contract.UpgradeToDedicatedInput{GroupID: group, Name: "orders", ProviderSettings: place},
			`{"groupId":"32b6e34b3d91647abb20e7b8","name":"orders",` +
				`"providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1"}}`},
		{"what is asked", contract.Asked{Place: place, Tags: []contract.Tag{},
			TerminationProtectionEnabled: ptr(false), Owner: "id"},
			`{"place":{"backingProviderName":"AWS","regionName":"US_EAST_1"},"tags":[],` +
				`"terminationProtectionEnabled":false,"owner":"id"}`},
		{"nothing asked", contract.Asked{}, `{}`},
		{"upgrade to serverless",
			contract.UpgradeToServerlessInput{GroupID: group, Name: "orders",
				ProviderSettings: contract.ProviderSettings{
					ProviderName: "SERVERLESS", BackingProviderName: "GCP", RegionName: "CENTRAL_US"},
				ServerlessBackupOptions: &contract.ServerlessBackupOptions{
					ServerlessContinuousBackupEnabled: ptr(false)},
				Tags: team, TerminationProtectionEnabled: true, TimeoutSeconds: ptr(5400), OwnershipTag: ptr(true)},
			`{"groupId":"32b6e34b3d91647abb20e7b8","name":"orders",` +
				`"providerSettings":{"providerName":"SERVERLESS","backingProviderName":"GCP",` +
				`"regionName":"CENTRAL_US"},` +
				`"serverlessBackupOptions":{"serverlessContinuousBackupEnabled":false},"tags":[{"key":"team",` +
				`"value":"orders"}],"terminationProtectionEnabled":true,"timeoutSeconds":5400,"ownershipTag":true}`},
		{"upgrade to serverless, defaults",
			contract.UpgradeToServerlessInput{GroupID: group, Name: "orders", ProviderSettings: place,
				ServerlessBackupOptions: &contract.ServerlessBackupOptions{}},
			`{"groupId":"32b6e34b3d91647abb20e7b8","name":"orders",` +
				`"providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1"},` +
				`"serverlessBackupOptions":{}}`},
		{"result",
			contract.Cluster{
				ID: "5f", GroupID: group, Name: "orders", ClusterType: "FLEX",
				StateName: "IDLE", MongoDBVersion: "8.0.29", CreateDate: since,
				ConnectionStrings: contract.ConnectionStrings{
					Standard: "mongodb://a/?b=1&c=2", StandardSrv: "mongodb+srv://a"},
				ProviderSettings: contract.ProviderSettings{
					ProviderName: "FLEX", BackingProviderName: "AWS", RegionName: "US_EAST_1", DiskSizeGB: 5},
				Tags: team, TerminationProtectionEnabled: true,
				Outcome: contract.Created, Warnings: []string{"Sunset"},
			},
			`{"id":"5f","groupId":"32b6e34b3d91647abb20e7b8","name":"orders","clusterType":"FLEX",` +
				`"stateName":"IDLE","mongoDBVersion":"8.0.29",` +
				`"createDate":"2026-09-01T12:00:05Z","connectionStrings":{"standard":"mongodb://a/?b=1\u0026c=2",` +
				`"standardSrv":"mongodb+srv://a"},` +
				`"providerSettings":{"providerName":"FLEX","backingProviderName":"AWS","regionName":"US_EAST_1",` +
				`"diskSizeGB":5},` +
				`"tags":[{"key":"team","value":"orders"}],"terminationProtectionEnabled":true,"outcome":"CREATED",` +
				`"warnings":["Sunset"]}`},
		{"result, with nothing to say",
			contract.Cluster{Tags: []contract.Tag{}, Warnings: []string{}},
			`{"id":"","groupId":"","name":"","clusterType":"","stateName":"","mongoDBVersion":"",` +
				`"createDate":"0001-01-01T00:00:00Z","connectionStrings":{},` +
				`"providerSettings":{"backingProviderName":"","regionName":""},"tags":[],` +
				`"terminationProtectionEnabled":false,"outcome":"","warnings":[]}`},
		{"status", contract.Status{Phase: contract.PhaseWaiting, StateName: "CREATING", Since: since},
			`{"phase":"WAITING_UNTIL_IDLE","stateName":"CREATING","since":"2026-09-01T12:00:05Z"}`},
		{"status, at first", contract.Status{Phase: contract.PhaseValidating, Since: since},
			`{"phase":"VALIDATING","since":"2026-09-01T12:00:05Z"}`},
		{"progress",
			contract.WaitProgress{
				StateName: "CREATING", Since: since, NotFoundSince: since, OldKind: true, IdleSince: since,
				AskedAt: since, Refusals: 1, Errors: 2},
			`{"stateName":"CREATING","since":"2026-09-01T12:00:05Z","notFoundSince":"2026-09-01T12:00:05Z",` +
				`"oldKind":true,"idleSince":"2026-09-01T12:00:05Z","askedAt":"2026-09-01T12:00:05Z",` +
				`"refusals":1,"errors":2}`},
		{"progress, none yet", contract.WaitProgress{}, `{}`},
		{"failure of Atlas",
			contract.FailureDetails{Status: 400, ErrorCode: "DUPLICATE_CLUSTER_NAME", Reason: "Bad Request",
				Detail: "Taken.", Method: "POST", Path: "/api", Parameters: []string{"a"}},
			`{"status":400,"errorCode":"DUPLICATE_CLUSTER_NAME","reason":"Bad Request","detail":"Taken.",` +
				`"method":"POST","path":"/api","parameters":["a"]}`},
		{"failure of ours",
			contract.FailureDetails{StateName: "CREATING",
				Violations:  []contract.Violation{{Field: "name", Problem: "is wrong"}},
				Differences: []contract.Difference{{Field: "name", Requested: `"a"`, Existing: "none"}}},
			`{"status":0,"errorCode":"","reason":"","detail":"","method":"","path":"","stateName":"CREATING",` +
				`"violations":[{"field":"name","problem":"is wrong"}],"differences":[{"field":"name",` +
				`"requested":"\"a\"","existing":"none"}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(test.value)
			require.NoError(t, err)
			require.Equal(t, test.want, string(got))
			back := reflect.New(reflect.TypeOf(test.value))
			require.NoError(t, json.Unmarshal(got, back.Interface()))
			require.Equal(t, test.value, back.Elem().Interface())
		})
	}
}

// An input with no field that only one workflow knows is good for several.
func TestDocumentedInput(t *testing.T) {
	t.Parallel()
	const documented = `{
		"groupId": "32b6e34b3d91647abb20e7b8",
		"name": "orders",
		"providerSettings": {"backingProviderName": "AWS", "regionName": "US_EAST_1"},
		"tags": [{"key": "team", "value": "orders"}],
		"terminationProtectionEnabled": false,
		"timeoutSeconds": 1800,
		"ownershipTag": true
	}`
	provision, err := contract.Parse[contract.ProvisionFlexClusterInput]([]byte(documented), "id")
	require.NoError(t, err)
	require.Equal(t, contract.ProvisionFlexClusterInput{
		GroupID:          group,
		Name:             "orders",
		ProviderSettings: place,
		Tags:             team,
		TimeoutSeconds:   ptr(1800),
		OwnershipTag:     ptr(true),
	}, provision)
	upgrade, err := contract.Parse[contract.UpgradeToServerlessInput]([]byte(documented), "id")
	require.NoError(t, err)
	require.Equal(t, contract.UpgradeToServerlessInput{
		GroupID:          group,
		Name:             "orders",
		ProviderSettings: place,
		Tags:             team,
		TimeoutSeconds:   ptr(1800),
		OwnershipTag:     ptr(true),
	}, upgrade)
}
