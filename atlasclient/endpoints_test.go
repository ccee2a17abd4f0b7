package atlasclient_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
)

const (
	flexAnswer = `{
		"backupSettings": {"enabled": true}, "clusterType": "REPLICASET",
		"connectionStrings": {
			"standard": "mongodb://a.example:27017,b.example:27017/?ssl=true&authSource=admin",
			"standardSrv": "mongodb+srv://orders.example"
		},
		"createDate": "2026-09-01T12:00:05Z", "groupId": "` + group + `", "id": "0123456789abcdef01234567",
		"mongoDBVersion": "8.0.29", "name": "orders", "stateName": "IDLE",
		"providerSettings": {
			"backingProviderName": "AWS", "diskSizeGB": 5.0, "providerName": "FLEX", "regionName": "US_EAST_1"
		},
		"tags": [{"key": "team", "value": "shop"}], "terminationProtectionEnabled": true, "versionReleaseSystem": "LTS"
	}`
	serverlessAnswer = `{
		"connectionStrings": {"standardSrv": "mongodb+srv://orders.example"}, "createDate": "2026-09-01T12:00:05Z",
		"groupId": "` + group + `", "id": "0123456789abcdef01234567", "mongoDBVersion": "8.0.29", "name": "orders",
		"stateName": "UPDATING",
		"providerSettings": {"backingProviderName": "AWS", "providerName": "SERVERLESS", "regionName": "US_EAST_1"},
		"serverlessBackupOptions": {"serverlessContinuousBackupEnabled": false}
	}`
	// bareAnswer is the answer to a create that has only just begun.
	bareAnswer = `{
		"id": "0123456789abcdef01234567", "name": "orders", "stateName": "CREATING",
		"connectionStrings": {}, "tags": null
	}`
)

var (
	created     = time.Date(2026, 9, 1, 12, 0, 5, 0, time.UTC)
	flexCluster = &atlasclient.Cluster{
		ID: "0123456789abcdef01234567", GroupID: group, Name: "orders", StateName: "IDLE", MongoDBVersion: "8.0.29",
		CreateDate: created,
		ConnectionStrings: atlasclient.ConnectionStrings{
			Standard:    "mongodb://a.example:27017,b.example:27017/?ssl=true&authSource=admin",
			StandardSrv: "mongodb+srv://orders.example",
		},
		ProviderSettings: atlasclient.ProviderSettings{
			ProviderName: "FLEX", BackingProviderName: "AWS", RegionName: "US_EAST_1", DiskSizeGB: 5,
		},
		Tags: []atlasclient.Tag{{Key: "team", Value: "shop"}}, TerminationProtectionEnabled: true,
	}
	serverlessInstance = &atlasclient.Cluster{
		ID: "0123456789abcdef01234567", GroupID: group, Name: "orders", StateName: "UPDATING", MongoDBVersion: "8.0.29",
		CreateDate:        created,
		ConnectionStrings: atlasclient.ConnectionStrings{StandardSrv: "mongodb+srv://orders.example"},
		ProviderSettings: atlasclient.ProviderSettings{
			ProviderName: "SERVERLESS", BackingProviderName: "AWS", RegionName: "US_EAST_1",
		},
		ServerlessBackupOptions: &atlasclient.ServerlessBackupOptions{ServerlessContinuousBackupEnabled: ptr(false)},
	}
	bareCluster = &atlasclient.Cluster{ID: "0123456789abcdef01234567", Name: "orders", StateName: "CREATING"}
)

// sender sends one request, and answers what the client makes of the answer.
type sender func(context.Context, *atlasclient.Client) (any, *atlasclient.Response, error)

// endpoint is a request, and what it looks like on the wire.
type endpoint struct {
	name  string
	call  sender
	wire  step
	media string
	want  any
}

// read sends a request that reads the cluster orders by one of the client's methods.
func read(method func(
	*atlasclient.Client, context.Context, string, string,
) (*atlasclient.Cluster, *atlasclient.Response, error)) sender {
	return func(ctx context.Context, c *atlasclient.Client) (any, *atlasclient.Response, error) {
		return method(c, ctx, group, "orders")
	}
}

// change sends a change of the cluster orders by one of the client's methods.
func change(method func(
	*atlasclient.Client, context.Context, string, string, atlasclient.ClusterUpdate,
) (*atlasclient.Cluster, *atlasclient.Response, error), update atlasclient.ClusterUpdate) sender {
	return func(ctx context.Context, c *atlasclient.Client) (any, *atlasclient.Response, error) {
		return method(c, ctx, group, "orders", update)
	}
}

func endpoints() []endpoint {
	create := func(r atlasclient.FlexClusterRequest) sender {
		return func(ctx context.Context, c *atlasclient.Client) (any, *atlasclient.Response, error) {
			return c.CreateFlexCluster(ctx, group, r)
		}
	}
	upgrade := func(r atlasclient.ServerlessUpgradeRequest) sender {
		return func(ctx context.Context, c *atlasclient.Client) (any, *atlasclient.Response, error) {
			return c.UpgradeToServerless(ctx, group, r)
		}
	}
	all := orders
	all.Tags = []atlasclient.Tag{{Key: "team", Value: "a & <b>"}, {Key: "ключ", Value: "☃"}}
	all.TerminationProtectionEnabled = true
	readOnly := orders
	readOnly.ProviderSettings.ProviderName, readOnly.ProviderSettings.DiskSizeGB = "FLEX", 5
	serverless := atlasclient.ServerlessUpgradeRequest{
		Name: "orders",
		ProviderSettings: atlasclient.ProviderSettings{
			ProviderName: "SERVERLESS", BackingProviderName: "GCP", RegionName: "CENTRAL_US",
		},
	}
	serverlessAll := serverless
	serverlessAll.ServerlessBackupOptions = &atlasclient.ServerlessBackupOptions{
		ServerlessContinuousBackupEnabled: ptr(true),
	}
	serverlessAll.Tags, serverlessAll.TerminationProtectionEnabled = []atlasclient.Tag{
		{Key: "team", Value: "shop"},
	}, true
	const (
		least = `{"name":"orders","providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1"},
			"terminationProtectionEnabled":false}`
		toServerless = `{"name":"orders",
			"providerSettings":{"providerName":"SERVERLESS","backingProviderName":"GCP","regionName":"CENTRAL_US"},`
	)

	return append(upgradeEndpoints(), []endpoint{
		{"create", create(all),
			step{want: "POST " + flex, status: 201, answer: flexAnswer,
				body: `{"name":"orders","providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1"},
					"tags":[{"key":"team","value":"a & <b>"},{"key":"ключ","value":"☃"}],
					"terminationProtectionEnabled":true}`},
			flexMedia, flexCluster},
		{"create with no more than is needed", create(orders),
			step{want: "POST " + flex, status: 201, answer: bareAnswer, body: least}, flexMedia, bareCluster},
		{"create does not send what Atlas lets one only read", create(readOnly),
			step{want: "POST " + flex, status: 201, answer: bareAnswer, body: least}, flexMedia, bareCluster},
		{"get flex", read((*atlasclient.Client).GetFlexCluster),
			step{want: getOrders, answer: flexAnswer}, flexMedia, flexCluster},
		{"list", func(ctx context.Context, c *atlasclient.Client) (any, *atlasclient.Response, error) {
			return c.ListFlexClusters(ctx, group)
		}, step{want: "GET " + flex + "?includeCount=true&itemsPerPage=500&pageNum=1",
			answer: `{"links":[],"results":[` + flexAnswer + `],"totalCount":1}`},
			flexMedia, []atlasclient.Cluster{*flexCluster}},
		{"read a project", func(ctx context.Context, c *atlasclient.Client) (any, *atlasclient.Response, error) {
			resp, err := c.ReadProject(ctx, group)
			return nil, resp, err
		}, step{want: "GET " + flex + "?itemsPerPage=1", answer: `{"links":[],"results":[` + flexAnswer + `]}`},
			flexMedia, nil},
		{"delete", func(ctx context.Context, c *atlasclient.Client) (any, *atlasclient.Response, error) {
			resp, err := c.DeleteFlexCluster(ctx, group, "orders")
			return nil, resp, err
		}, step{want: "DELETE " + flex + "/orders", status: 204}, flexMedia, nil},
		{"change the tags", change((*atlasclient.Client).UpdateFlexCluster, atlasclient.ClusterUpdate{
			Tags: []atlasclient.Tag{{Key: "team", Value: "shop"}},
		}), step{want: "PATCH " + flex + "/orders", answer: flexAnswer,
			body: `{"tags":[{"key":"team","value":"shop"}]}`},
			flexMedia, flexCluster},
		{"take all tags away", change((*atlasclient.Client).UpdateFlexCluster, atlasclient.ClusterUpdate{
			Tags: []atlasclient.Tag{},
		}), step{want: "PATCH " + flex + "/orders", answer: flexAnswer, body: `{"tags":[]}`}, flexMedia, flexCluster},
		{"change the protection and no tags", change((*atlasclient.Client).UpdateFlexCluster, atlasclient.ClusterUpdate{
			TerminationProtectionEnabled: ptr(false),
		}), step{want: "PATCH " + flex + "/orders", answer: flexAnswer, body: `{"terminationProtectionEnabled":false}`},
			flexMedia, flexCluster},
		{"change a dedicated cluster", change((*atlasclient.Client).UpdateCluster, atlasclient.ClusterUpdate{
			Tags: []atlasclient.Tag{{Key: "team", Value: "shop"}}, TerminationProtectionEnabled: ptr(true),
		}), step{want: "PATCH " + root + "/clusters/orders", answer: flexAnswer,
			body: `{"tags":[{"key":"team","value":"shop"}],"terminationProtectionEnabled":true}`},
			"application/vnd.atlas.2024-10-23+json", flexCluster},
		{"delete a dedicated cluster", func(ctx context.Context, c *atlasclient.Client) (
			any, *atlasclient.Response, error,
		) {
			resp, err := c.DeleteCluster(ctx, group, "orders")
			return nil, resp, err
		}, step{want: "DELETE " + root + "/clusters/orders", status: 202, answer: `{}`},
			"application/vnd.atlas.2023-02-01+json", nil},
		{"get cluster", read((*atlasclient.Client).GetCluster),
			step{want: "GET " + root + "/clusters/orders", answer: flexAnswer},
			"application/vnd.atlas.2024-08-05+json", flexCluster},
		{"get serverless", read((*atlasclient.Client).GetServerlessInstance),
			step{want: "GET " + root + "/serverless/orders", answer: serverlessAnswer},
			"application/vnd.atlas.2023-01-01+json", serverlessInstance},
		{"upgrade", upgrade(serverlessAll),
			step{want: "POST " + root + "/clusters/tenantUpgradeToServerless", answer: serverlessAnswer,
				body: toServerless + `"serverlessBackupOptions":{"serverlessContinuousBackupEnabled":true},
					"tags":[{"key":"team","value":"shop"}],"terminationProtectionEnabled":true}`},
			"application/vnd.atlas.2023-01-01+json", serverlessInstance},
		{"upgrade with no more than is needed", upgrade(serverless),
			step{want: "POST " + root + "/clusters/tenantUpgradeToServerless", answer: serverlessAnswer,
				body: toServerless + `"terminationProtectionEnabled":false}`},
			"application/vnd.atlas.2023-01-01+json", serverlessInstance},
	}...)
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	for _, test := range endpoints() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.wire.header = map[string]string{
				"Accept":        test.media,
				"Content-Type":  "",
				"Authorization": "",
				"User-Agent":    "atlas-provisioner/" + version.Version,
			}
			if test.wire.body != "" {
				test.wire.header["Content-Type"] = test.media
			}
			test.wire.with = map[string]string{"Date": "Tue, 01 Sep 2026 12:00:09 GMT"}
			got, resp, err := test.call(t.Context(), setup(t, test.wire))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
			require.Equal(t, &atlasclient.Response{
				Status: max(test.wire.status, 200), Date: time.Date(2026, 9, 1, 12, 0, 9, 0, time.UTC),
			}, resp)
		})
	}
}

// A method that fails returns an error and nothing else.
func TestEndpointsFail(t *testing.T) {
	t.Parallel()
	for _, test := range endpoints() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.wire.status = 409
			test.wire.answer = `{"errorCode":"NO_CAPACITY","detail":"Full.","error":409,"reason":"Conflict",` +
				`"parameters":null}`
			got, resp, err := test.call(t.Context(), setup(t, test.wire))
			require.Empty(t, got)
			require.Nil(t, resp)
			method, target, _ := strings.Cut(test.wire.want, " ")
			path, _, _ := strings.Cut(target, "?")
			require.Equal(t, &atlasclient.Error{
				Status: 409, ErrorCode: "NO_CAPACITY", Reason: "Conflict", Detail: "Full.", FromAtlas: true,
				Method: method, Path: path,
			}, err)
			require.EqualError(t, err, method+" "+path+": 409 NO_CAPACITY: Full.")
		})
	}
}

// A project id or a name stays one segment of the path, whatever it holds.
func TestPathSegments(t *testing.T) {
	t.Parallel()
	for segment, wire := range map[string]string{
		"a/b":             "a%2Fb",
		"../../../admin":  "..%2F..%2F..%2Fadmin",
		"..":              "%2E%2E",
		".":               "%2E",
		"...":             "...",
		"%2e%2e":          "%252e%252e",
		"%":               "%25",
		"a?pretty=true":   "a%3Fpretty=true",
		"a#b":             "a%23b",
		"a b":             "a%20b",
		"a+b":             "a+b",
		`a\b`:             "a%5Cb",
		"a;b":             "a%3Bb",
		"a:tenantUpgrade": "a:tenantUpgrade",
		"größe☃":          "gr%C3%B6%C3%9Fe%E2%98%83",
		"a\r\nHost: evil": "a%0D%0AHost:%20evil",
		"\xff\x00":        "%FF%00",
		"":                "",
	} {
		t.Run(fmt.Sprintf("%q", segment), func(t *testing.T) {
			t.Parallel()
			at := "/api/atlas/v2/groups/" + wire
			body := http.StatusText(200)
			c := setup(t,
				step{want: "GET " + at + "/flexClusters/" + wire, answer: body},
				step{want: "DELETE " + at + "/flexClusters/" + wire},
				step{want: "PATCH " + at + "/flexClusters/" + wire, answer: body},
				step{want: "DELETE " + at + "/clusters/" + wire},
				step{want: "PATCH " + at + "/clusters/" + wire, answer: body},
				step{want: "GET " + at + "/clusters/" + wire, answer: body},
				step{want: "GET " + at + "/serverless/" + wire, answer: body},
				step{want: "POST " + at + "/flexClusters", answer: body},
				step{want: "POST " + at + "/clusters/tenantUpgradeToServerless", answer: body},
				step{want: "POST " + at + "/clusters/tenantUpgrade", answer: body},
				step{want: "POST " + at + "/flexClusters:tenantUpgrade", answer: body},
			)
			_, _, err := c.GetFlexCluster(t.Context(), segment, segment)
			require.Equal(t, at+"/flexClusters/"+wire, asError(t, err).Path)
			_, err = c.DeleteFlexCluster(t.Context(), segment, segment)
			require.NoError(t, err)
			_, _, err = c.UpdateFlexCluster(t.Context(), segment, segment, atlasclient.ClusterUpdate{})
			require.Error(t, err)
			_, err = c.DeleteCluster(t.Context(), segment, segment)
			require.NoError(t, err)
			_, _, err = c.UpdateCluster(t.Context(), segment, segment, atlasclient.ClusterUpdate{})
			require.Error(t, err)
			_, _, err = c.GetCluster(t.Context(), segment, segment)
			require.Error(t, err)
			_, _, err = c.GetServerlessInstance(t.Context(), segment, segment)
			require.Error(t, err)
			_, _, err = c.CreateFlexCluster(t.Context(), segment, atlasclient.FlexClusterRequest{})
			require.Error(t, err)
			_, _, err = c.UpgradeToServerless(t.Context(), segment, atlasclient.ServerlessUpgradeRequest{})
			require.Error(t, err)
			_, _, err = c.UpgradeToFlex(t.Context(), segment, atlasclient.UpgradeRequest{})
			require.Error(t, err)
			_, _, err = c.UpgradeToDedicated(t.Context(), segment, atlasclient.UpgradeRequest{})
			require.Error(t, err)
		})
	}
}

// The client and the simulator were written apart. This shows that they understand each other.
func TestSimulator(t *testing.T) {
	t.Parallel()
	c, _ := setupSim(t, atlassim.Config{
		Shared: []atlassim.SharedCluster{{GroupID: group, Name: "old"}},
	}, nil)
	ctx := t.Context()

	r := orders
	r.ProviderSettings.ProviderName = "FLEX"
	r.Tags = []atlasclient.Tag{{Key: "team", Value: "shop"}}
	r.TerminationProtectionEnabled = true
	made, resp, err := c.CreateFlexCluster(ctx, group, r)
	require.NoError(t, err)
	require.Equal(t, 201, resp.Status)
	_, _, err = c.CreateFlexCluster(ctx, group, r)
	require.Equal(t, []string{"cluster or serverless instance orders", group}, asError(t, err).Parameters)
	require.True(t, atlasclient.IsError(err, atlasclient.CodeDuplicateClusterName))

	found, _, err := c.GetFlexCluster(ctx, group, "orders")
	require.NoError(t, err)
	require.Equal(t, made.ID, found.ID)
	require.Equal(t, "IDLE", found.StateName)
	require.Equal(t, r.Tags, found.Tags)
	require.True(t, found.TerminationProtectionEnabled)
	listed, _, err := c.ListFlexClusters(ctx, group)
	require.NoError(t, err)
	require.Equal(t, []atlasclient.Cluster{*found}, listed)
	_, err = c.DeleteFlexCluster(ctx, group, "orders")
	require.EqualError(t, err, "DELETE "+flex+"/orders: 400 ATLAS_GENERAL_ERROR: "+
		"Reason: Cannot terminate a cluster when termination protection is enabled.")
	_, _, err = c.GetCluster(ctx, group, "orders")
	require.True(t, atlasclient.IsError(err, atlasclient.CodeFlexInClusterAPI))
	_, _, err = c.GetFlexCluster(ctx, group, "old")
	require.True(t, atlasclient.IsError(err, atlasclient.CodeNonFlexInFlexAPI))
	_, _, err = c.GetServerlessInstance(ctx, group, "old")
	require.True(t, atlasclient.IsError(err,
		atlasclient.CodeClusterInServerlessAPI, atlasclient.CodeServerlessInstanceNotFound))

	old, resp, err := c.GetCluster(ctx, group, "old")
	require.NoError(t, err)
	require.Equal(t, "old", old.Name)
	require.Empty(t, resp.Warnings, "the newest version is not deprecated")
	_, resp, err = c.UpgradeToServerless(ctx, group, atlasclient.ServerlessUpgradeRequest{
		Name: "old",
		ProviderSettings: atlasclient.ProviderSettings{
			ProviderName: "SERVERLESS", BackingProviderName: "AWS", RegionName: "US_EAST_1",
		},
		ServerlessBackupOptions: &atlasclient.ServerlessBackupOptions{ServerlessContinuousBackupEnabled: ptr(true)},
	})
	require.NoError(t, err)
	require.Len(t, resp.Warnings, 1)
	instance, _, err := c.GetServerlessInstance(ctx, group, "old")
	require.NoError(t, err)
	require.NotEqual(t, old.ID, instance.ID)
	require.Equal(t, ptr(true), instance.ServerlessBackupOptions.ServerlessContinuousBackupEnabled)

	kept := []atlasclient.Tag{{Key: "team", Value: "billing"}}
	changed, _, err := c.UpdateFlexCluster(ctx, group, "orders", atlasclient.ClusterUpdate{Tags: kept})
	require.NoError(t, err)
	require.Equal(t, kept, changed.Tags)
	require.True(t, changed.TerminationProtectionEnabled, "what is left out stays")
	changed, _, err = c.UpdateFlexCluster(ctx, group, "orders",
		atlasclient.ClusterUpdate{TerminationProtectionEnabled: ptr(false)})
	require.NoError(t, err)
	require.Equal(t, kept, changed.Tags, "what is left out stays")
	require.False(t, changed.TerminationProtectionEnabled)
	changed, _, err = c.UpdateFlexCluster(ctx, group, "orders", atlasclient.ClusterUpdate{Tags: []atlasclient.Tag{}})
	require.NoError(t, err)
	require.Empty(t, changed.Tags)

	brief := orders
	brief.Name = "gone"
	_, _, err = c.CreateFlexCluster(ctx, group, brief)
	require.NoError(t, err)
	resp, err = c.DeleteFlexCluster(ctx, group, "gone")
	require.NoError(t, err)
	require.Equal(t, 204, resp.Status)
	_, _, err = c.GetFlexCluster(ctx, group, "never")
	require.True(t, atlasclient.IsError(err, atlasclient.CodeClusterNotFound))
}

func ptr[T any](v T) *T { return &v }
