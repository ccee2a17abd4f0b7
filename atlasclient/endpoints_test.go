package atlasclient_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
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
		"connectionStrings": {"standard": "mongodb://a.example:27017,b.example:27017/?ssl=true&authSource=admin", "standardSrv": "mongodb+srv://orders.example"},
		"createDate": "2026-09-01T12:00:05Z", "groupId": "` + group + `", "id": "0123456789abcdef01234567",
		"mongoDBVersion": "8.0.29", "name": "orders", "stateName": "IDLE",
		"providerSettings": {"backingProviderName": "AWS", "diskSizeGB": 5.0, "providerName": "FLEX", "regionName": "US_EAST_1"},
		"tags": [{"key": "team", "value": "shop"}], "terminationProtectionEnabled": true, "versionReleaseSystem": "LTS"
	}`
	serverlessAnswer = `{
		"connectionStrings": {"standardSrv": "mongodb+srv://orders.example"}, "createDate": "2026-09-01T12:00:05Z",
		"groupId": "` + group + `", "id": "0123456789abcdef01234567", "mongoDBVersion": "8.0.29", "name": "orders", "stateName": "UPDATING",
		"providerSettings": {"backingProviderName": "AWS", "providerName": "SERVERLESS", "regionName": "US_EAST_1"},
		"serverlessBackupOptions": {"serverlessContinuousBackupEnabled": false}
	}`
	// What a create that has only just begun answers.
	bareAnswer = `{"id": "0123456789abcdef01234567", "name": "orders", "stateName": "CREATING", "connectionStrings": {}, "tags": null}`
)

var (
	created     = time.Date(2026, 9, 1, 12, 0, 5, 0, time.UTC)
	flexCluster = &atlasclient.Cluster{
		ID: "0123456789abcdef01234567", GroupID: group, Name: "orders", StateName: "IDLE", MongoDBVersion: "8.0.29", CreateDate: created,
		ConnectionStrings: atlasclient.ConnectionStrings{
			Standard:    "mongodb://a.example:27017,b.example:27017/?ssl=true&authSource=admin",
			StandardSrv: "mongodb+srv://orders.example",
		},
		ProviderSettings: atlasclient.ProviderSettings{ProviderName: "FLEX", BackingProviderName: "AWS", RegionName: "US_EAST_1", DiskSizeGB: 5},
		Tags:             []atlasclient.Tag{{Key: "team", Value: "shop"}}, TerminationProtectionEnabled: true,
	}
	serverlessInstance = &atlasclient.Cluster{
		ID: "0123456789abcdef01234567", GroupID: group, Name: "orders", StateName: "UPDATING", MongoDBVersion: "8.0.29", CreateDate: created,
		ConnectionStrings:       atlasclient.ConnectionStrings{StandardSrv: "mongodb+srv://orders.example"},
		ProviderSettings:        atlasclient.ProviderSettings{ProviderName: "SERVERLESS", BackingProviderName: "AWS", RegionName: "US_EAST_1"},
		ServerlessBackupOptions: &atlasclient.ServerlessBackupOptions{ServerlessContinuousBackupEnabled: ptr(false)},
	}
	bareCluster = &atlasclient.Cluster{ID: "0123456789abcdef01234567", Name: "orders", StateName: "CREATING"}
)

// endpoint is a call, and what it looks like on the wire.
type endpoint struct {
	name  string
	call  func(context.Context, *atlasclient.Client) (any, *atlasclient.Response, error)
	wire  step
	media string
	want  any
}

// cluster turns a call that answers a cluster into an endpoint's.
func cluster(f func(context.Context, *atlasclient.Client) (*atlasclient.Cluster, *atlasclient.Response, error)) func(context.Context, *atlasclient.Client) (any, *atlasclient.Response, error) {
	return func(ctx context.Context, c *atlasclient.Client) (any, *atlasclient.Response, error) { return f(ctx, c) }
}

func endpoints() []endpoint {
	create := func(r atlasclient.FlexClusterRequest) func(context.Context, *atlasclient.Client) (any, *atlasclient.Response, error) {
		return cluster(func(ctx context.Context, c *atlasclient.Client) (*atlasclient.Cluster, *atlasclient.Response, error) {
			return c.CreateFlexCluster(ctx, group, r)
		})
	}
	upgrade := func(r atlasclient.ServerlessUpgradeRequest) func(context.Context, *atlasclient.Client) (any, *atlasclient.Response, error) {
		return cluster(func(ctx context.Context, c *atlasclient.Client) (*atlasclient.Cluster, *atlasclient.Response, error) {
			return c.UpgradeToServerless(ctx, group, r)
		})
	}
	all := orders
	all.Tags, all.TerminationProtectionEnabled = []atlasclient.Tag{{Key: "team", Value: "a & <b>"}, {Key: "ключ", Value: "☃"}}, true
	readOnly := orders
	readOnly.ProviderSettings.ProviderName, readOnly.ProviderSettings.DiskSizeGB = "FLEX", 5
	serverless := atlasclient.ServerlessUpgradeRequest{
		Name:             "orders",
		ProviderSettings: atlasclient.ProviderSettings{ProviderName: "SERVERLESS", BackingProviderName: "GCP", RegionName: "CENTRAL_US"},
	}
	serverlessAll := serverless
	serverlessAll.ServerlessBackupOptions = &atlasclient.ServerlessBackupOptions{ServerlessContinuousBackupEnabled: ptr(true)}
	serverlessAll.Tags, serverlessAll.TerminationProtectionEnabled = []atlasclient.Tag{{Key: "team", Value: "shop"}}, true

	return []endpoint{
		{"create", create(all),
			step{want: "POST " + flex, status: 201, answer: flexAnswer,
				body: `{"name":"orders","providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1"},
					"tags":[{"key":"team","value":"a & <b>"},{"key":"ключ","value":"☃"}],"terminationProtectionEnabled":true}`},
			flexMedia, flexCluster},
		{"create with no more than is needed", create(orders),
			step{want: "POST " + flex, status: 201, answer: bareAnswer,
				body: `{"name":"orders","providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1"},"terminationProtectionEnabled":false}`},
			flexMedia, bareCluster},
		{"create does not send what Atlas lets one only read", create(readOnly),
			step{want: "POST " + flex, status: 201, answer: bareAnswer,
				body: `{"name":"orders","providerSettings":{"backingProviderName":"AWS","regionName":"US_EAST_1"},"terminationProtectionEnabled":false}`},
			flexMedia, bareCluster},
		{"get flex", cluster(func(ctx context.Context, c *atlasclient.Client) (*atlasclient.Cluster, *atlasclient.Response, error) {
			return c.GetFlexCluster(ctx, group, "orders")
		}), step{want: getOrders, answer: flexAnswer}, flexMedia, flexCluster},
		{"list", func(ctx context.Context, c *atlasclient.Client) (any, *atlasclient.Response, error) {
			return c.ListFlexClusters(ctx, group)
		}, step{want: "GET " + flex + "?includeCount=true&itemsPerPage=500&pageNum=1", answer: `{"links":[],"results":[` + flexAnswer + `],"totalCount":1}`},
			flexMedia, []atlasclient.Cluster{*flexCluster}},
		{"delete", func(ctx context.Context, c *atlasclient.Client) (any, *atlasclient.Response, error) {
			resp, err := c.DeleteFlexCluster(ctx, group, "orders")
			return nil, resp, err
		}, step{want: "DELETE " + flex + "/orders", status: 204}, flexMedia, nil},
		{"get cluster", cluster(func(ctx context.Context, c *atlasclient.Client) (*atlasclient.Cluster, *atlasclient.Response, error) {
			return c.GetCluster(ctx, group, "orders")
		}), step{want: "GET " + root + "/clusters/orders", answer: flexAnswer}, "application/vnd.atlas.2024-08-05+json", flexCluster},
		{"get serverless", cluster(func(ctx context.Context, c *atlasclient.Client) (*atlasclient.Cluster, *atlasclient.Response, error) {
			return c.GetServerlessInstance(ctx, group, "orders")
		}), step{want: "GET " + root + "/serverless/orders", answer: serverlessAnswer}, "application/vnd.atlas.2023-01-01+json", serverlessInstance},
		{"upgrade", upgrade(serverlessAll),
			step{want: "POST " + root + "/clusters/tenantUpgradeToServerless", answer: serverlessAnswer,
				body: `{"name":"orders","providerSettings":{"providerName":"SERVERLESS","backingProviderName":"GCP","regionName":"CENTRAL_US"},
					"serverlessBackupOptions":{"serverlessContinuousBackupEnabled":true},
					"tags":[{"key":"team","value":"shop"}],"terminationProtectionEnabled":true}`},
			"application/vnd.atlas.2023-01-01+json", serverlessInstance},
		{"upgrade with no more than is needed", upgrade(serverless),
			step{want: "POST " + root + "/clusters/tenantUpgradeToServerless", answer: serverlessAnswer,
				body: `{"name":"orders","providerSettings":{"providerName":"SERVERLESS","backingProviderName":"GCP","regionName":"CENTRAL_US"},
					"terminationProtectionEnabled":false}`},
			"application/vnd.atlas.2023-01-01+json", serverlessInstance},
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	for _, test := range endpoints() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.wire.header = map[string]string{
				"Accept": test.media, "Content-Type": "", "Authorization": "", "User-Agent": "atlas-provisioner/" + version.Version,
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

// A call that fails answers an error and nothing else.
func TestEndpointsFail(t *testing.T) {
	t.Parallel()
	for _, test := range endpoints() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.wire.status, test.wire.answer = 409, `{"errorCode":"NO_CAPACITY","detail":"Full.","error":409,"reason":"Conflict","parameters":null}`
			got, resp, err := test.call(t.Context(), setup(t, test.wire))
			require.Empty(t, got)
			require.Nil(t, resp)
			method, target, _ := strings.Cut(test.wire.want, " ")
			path, _, _ := strings.Cut(target, "?")
			require.Equal(t, &atlasclient.Error{
				Status: 409, ErrorCode: "NO_CAPACITY", Reason: "Conflict", Detail: "Full.", FromAtlas: true, Method: method, Path: path,
			}, err)
			require.EqualError(t, err, method+" "+path+": 409 NO_CAPACITY: Full.")
		})
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	page := func(number int, answer string) step {
		return step{want: fmt.Sprintf("GET %s?includeCount=true&itemsPerPage=500&pageNum=%d", flex, number), answer: answer}
	}
	// entries are clusters from the one with the number first to the one before end.
	entries := func(first, end int) string {
		var all []string
		for i := first; i < end; i++ {
			all = append(all, fmt.Sprintf(`{"name":"c%d","stateName":"IDLE"}`, i))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	for _, test := range []struct {
		name  string
		pages []step
		want  int
	}{
		{"none", []step{page(1, `{"results":[],"totalCount":0}`)}, 0},
		{"one page", []step{page(1, `{"results":`+entries(0, 2)+`,"totalCount":2}`)}, 2},
		{"three pages", []step{
			page(1, `{"results":`+entries(0, 2)+`,"totalCount":5}`), page(2, `{"results":`+entries(2, 4)+`,"totalCount":5}`),
			page(3, `{"results":`+entries(4, 5)+`,"totalCount":5}`),
		}, 5},
		{"an empty page is the last, whatever the count", []step{
			page(1, `{"results":`+entries(0, 2)+`,"totalCount":9}`), page(2, `{"results":[],"totalCount":9}`),
		}, 2},
		{"one appears meanwhile", []step{
			page(1, `{"results":`+entries(0, 2)+`,"totalCount":3}`), page(2, `{"results":`+entries(1, 3)+`,"totalCount":4}`),
		}, 4},
		{"the count is only an estimate: a full page has a next one", []step{
			page(1, `{"results":`+entries(0, 500)+`,"totalCount":498}`), page(2, `{"results":`+entries(500, 501)+`,"totalCount":498}`),
		}, 501},
		{"no count", []step{
			page(1, `{"results":`+entries(0, 500)+`}`), page(2, `{"results":`+entries(500, 1000)+`}`), page(3, `{"results":[]}`),
		}, 1000},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.pages[len(test.pages)-1].with = map[string]string{"Sunset": "last page"}
			got, resp, err := setup(t, test.pages...).ListFlexClusters(t.Context(), group)
			require.NoError(t, err)
			require.Equal(t, test.want, len(got))
			require.Len(t, resp.Warnings, 1, "the answer is the last page's")
		})
	}

	t.Run("a later page fails", func(t *testing.T) {
		t.Parallel()
		failing := page(2, "")
		failing.status = 503
		got, resp, err := setup(t, page(1, `{"results":`+entries(0, 1)+`,"totalCount":2}`), failing).ListFlexClusters(t.Context(), group)
		require.Nil(t, got)
		require.Nil(t, resp)
		require.EqualError(t, err, "GET "+flex+": 503")
	})
}

// A list that cannot be one ends, with few requests.
func TestListThatIsNone(t *testing.T) {
	t.Parallel()
	page := func(first, n int) string {
		var all []string
		for i := first; i < first+n; i++ {
			all = append(all, fmt.Sprintf(`{"name":"c%d","stateName":"IDLE"}`, i))
		}
		return `{"results":[` + strings.Join(all, ",") + `],"totalCount":100000}`
	}
	again := "a page of the list is the one before it again: something on the way may drop the query of the URL"
	for _, test := range []struct {
		name     string
		answer   func(number int) string // the query is not looked at
		requests int
		want     string
	}{
		{"each page is the same full one", func(int) string { return page(0, 500) }, 2, again},
		{"each page is the same, of a hundred", func(int) string { return page(0, 100) }, 2, again},
		{"the third page is the second", func(number int) string { return page(500*min(number, 2), 500) }, 3, again},
		{"two pages in turns", func(number int) string { return page(500*(number%2), 500) }, 20,
			"the list has more than 20 pages, which no project fills"},
		{"without end", func(number int) string { return page(500*number, 500) }, 20,
			"the list has more than 20 pages, which no project fills"},
		{"an empty object", func(int) string { return `{}` }, 1, "the body is no list: it has no results"},
		{"null", func(int) string { return `null` }, 1, "the body is no list: it has no results"},
		{"results of null", func(int) string { return `{"results":null,"totalCount":0}` }, 1, "the body is no list: it has no results"},
		{"an empty object for a later page", func(number int) string { return map[int]string{1: page(0, 500), 2: `{}`}[number] }, 2,
			"the body is no list: it has no results"},
		{"one cluster", func(int) string { return flexAnswer }, 1, "the body is no list: it has no results"},
		{"results that are no clusters", func(int) string { return `{"results":[{"name":"a","stateName":"IDLE"},{}]}` }, 1,
			"entry 2 of the list: the body is no cluster: it has no name or no stateName"},
		{"results of null each", func(int) string { return `{"results":[null]}` }, 1,
			"entry 1 of the list: the body is no cluster: it has no name or no stateName"},
		{"results that are no list", func(int) string { return `{"results":{}}` }, 1,
			"the body is not the JSON expected: results is of type object"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			requests := 0
			c := newClient(t, atlasclient.Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				requests++
				return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(test.answer(requests)))}, nil
			})})
			all, resp, err := c.ListFlexClusters(t.Context(), group)
			require.Nil(t, all)
			require.Nil(t, resp)
			require.EqualError(t, err, "GET "+flex+": status 200: "+test.want)
			require.Error(t, asError(t, err).Err)
			require.Equal(t, test.requests, requests)
		})
	}
}

// An answer that is no cluster, or another one, is none that can be read: nothing is taken from it.
func TestAnswerThatIsNoCluster(t *testing.T) {
	t.Parallel()
	const none = "the body is no cluster: it has no name or no stateName"
	for _, test := range []struct{ name, answer, want string }{
		{"an empty object", `{}`, none},
		{"null", `null`, none},
		{"an error of a gateway with status 200", `{"message":"upstream timed out"}`, none},
		{"an error of Atlas with status 200", `{"error":500,"errorCode":"UNEXPECTED_ERROR","detail":"Oops."}`, none},
		{"no state", `{"id":"0","name":"orders"}`, none},
		{"no name", `{"id":"0","stateName":"IDLE"}`, none},
		{"an envelope", `{"status":200,"content":` + flexAnswer + `}`, none},
		{"a list", `{"results":[` + flexAnswer + `]}`, none},
		{"another cluster", `{"name":"billing","stateName":"IDLE"}`, `the body is another cluster, "billing"`},
		{"a name of another type", `{"name":7,"stateName":"IDLE"}`, "the body is not the JSON expected: name is of type number"},
		{"a string", `"IDLE"`, "the body is not the JSON expected: all of it is of type string"},
		{"a body that is too big to be one", `{"name":"orders","stateName":"IDLE","links":"` + strings.Repeat("x", 600_000) + `"}`,
			"the body is not the JSON expected: a cluster of more than 512 KiB"},
	} {
		for _, e := range endpoints() {
			if _, isCluster := e.want.(*atlasclient.Cluster); !isCluster {
				continue
			}
			t.Run(test.name+"/"+e.name, func(t *testing.T) {
				t.Parallel()
				e.wire.answer = test.answer
				got, resp, err := e.call(t.Context(), setup(t, e.wire))
				require.Nil(t, got)
				require.Nil(t, resp)
				failed := asError(t, err)
				require.EqualError(t, failed.Err, test.want)
				require.Equal(t, max(e.wire.status, 200), failed.Status)
			})
		}
	}
}

// A date is read in each form that one can read. One that is none is zero, and the cluster is read all the same.
func TestCreateDate(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 8, 10, 3, 2, 55, 0, time.UTC)
	for value, want := range map[string]time.Time{
		`"2026-08-10T03:02:55Z"`:                at,
		`"2026-08-10T03:02:55+0000"`:            at,
		`"2026-08-10T03:02:55+00"`:              at,
		`"2026-08-10T05:02:55+02:00"`:           at,
		`"2026-08-10T05:02:55+0200"`:            at,
		`"2026-08-10T03:02:55.123Z"`:            at.Add(123 * time.Millisecond),
		`"2026-08-10T03:02:55.123+0000"`:        at.Add(123 * time.Millisecond),
		`"2026-08-10T03:02:55"`:                 at,
		`"2026-08-10 03:02:55"`:                 at,
		`"2026-08-10 03:02:55Z"`:                at,
		`" 2026-08-10T03:02:55Z "`:              at,
		`"2026-08-10T03:02Z"`:                   at.Truncate(time.Minute),
		`"2026-08-10"`:                          at.Truncate(24 * time.Hour),
		`""`:                                    {},
		`null`:                                  {},
		`"yesterday"`:                           {},
		`"9999-12-31T23:59:59-12:00"`:           {}, // JSON has no year 10000
		`1786330975`:                            {},
		`{"$date":"2026-08-10T03:02:55Z"}`:      {},
		`"2026-02-30T03:02:55Z"`:                {},
		`"2026-08-10T03:02:55Z","createDate":7`: {}, // the last one stands, as for all of JSON
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			body := `{"name":"orders","stateName":"IDLE","createDate":` + value + `}`
			c := setup(t, step{want: getOrders, answer: body},
				step{want: "GET " + flex + "?includeCount=true&itemsPerPage=500&pageNum=1", answer: `{"results":[` + body + `]}`})
			cluster, _, err := c.GetFlexCluster(t.Context(), group, "orders")
			require.NoError(t, err)
			require.Equal(t, want, cluster.CreateDate)
			_, err = json.Marshal(cluster.CreateDate)
			require.NoError(t, err)
			all, _, err := c.ListFlexClusters(t.Context(), group)
			require.NoError(t, err)
			require.Equal(t, []atlasclient.Cluster{*cluster}, all)
		})
	}
}

// Whatever a segment holds, it stays one segment of the path.
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
				step{want: "GET " + at + "/clusters/" + wire, answer: body},
				step{want: "GET " + at + "/serverless/" + wire, answer: body},
				step{want: "POST " + at + "/flexClusters", answer: body},
				step{want: "POST " + at + "/clusters/tenantUpgradeToServerless", answer: body},
			)
			_, _, err := c.GetFlexCluster(t.Context(), segment, segment)
			require.Equal(t, at+"/flexClusters/"+wire, asError(t, err).Path)
			_, err = c.DeleteFlexCluster(t.Context(), segment, segment)
			require.NoError(t, err)
			_, _, err = c.GetCluster(t.Context(), segment, segment)
			require.Error(t, err)
			_, _, err = c.GetServerlessInstance(t.Context(), segment, segment)
			require.Error(t, err)
			_, _, err = c.CreateFlexCluster(t.Context(), segment, atlasclient.FlexClusterRequest{})
			require.Error(t, err)
			_, _, err = c.UpgradeToServerless(t.Context(), segment, atlasclient.ServerlessUpgradeRequest{})
			require.Error(t, err)
		})
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	const deprecation, sunset = "Wed, 5 Feb 2025 00:00:00 GMT", "Mon, 18 Jan 2027 00:00:00 GMT"
	for _, test := range []struct {
		name   string
		header map[string]string
		want   []string
	}{
		{"none", nil, nil},
		{"deprecation", map[string]string{"Deprecation": deprecation},
			[]string{"Atlas says of GET " + root + "/serverless/orders (version 2023-01-01): Deprecation " + deprecation}},
		{"sunset", map[string]string{"Sunset": sunset},
			[]string{"Atlas says of GET " + root + "/serverless/orders (version 2023-01-01): Sunset " + sunset}},
		{"both", map[string]string{"Deprecation": deprecation, "Sunset": sunset},
			[]string{"Atlas says of GET " + root + "/serverless/orders (version 2023-01-01): Deprecation " + deprecation + ", Sunset " + sunset}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, step{want: "GET " + root + "/serverless/orders", with: test.header, answer: ordersAnswer})
			_, resp, err := c.GetServerlessInstance(t.Context(), group, "orders")
			require.NoError(t, err)
			require.Equal(t, test.want, resp.Warnings)
		})
	}
}

func TestDate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, header string
		want         time.Time
	}{
		{"HTTP date", "Tue, 01 Sep 2026 12:00:09 GMT", time.Date(2026, 9, 1, 12, 0, 9, 0, time.UTC)},
		{"obsolete date", "Tuesday, 01-Sep-26 12:00:09 GMT", time.Date(2026, 9, 1, 12, 0, 9, 0, time.UTC)},
		{"garbage", "noon", time.Time{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, step{want: getOrders, with: map[string]string{"Date": test.header}, answer: ordersAnswer})
			_, resp, err := c.GetFlexCluster(t.Context(), group, "orders")
			require.NoError(t, err)
			require.True(t, test.want.Equal(resp.Date), resp.Date)
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		c := setup(t, step{want: getOrders, instead: func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Date"] = nil // net/http would add it
			_, _ = w.Write([]byte(ordersAnswer))
		}})
		_, resp, err := c.GetFlexCluster(t.Context(), group, "orders")
		require.NoError(t, err)
		require.Zero(t, resp.Date)
	})
}

// The client and the simulator were written apart; they understand each other.
func TestSimulator(t *testing.T) {
	t.Parallel()
	c, sim := setupSim(t, atlassim.Config{
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

	read, _, err := c.GetFlexCluster(ctx, group, "orders")
	require.NoError(t, err)
	require.Equal(t, made.ID, read.ID)
	require.Equal(t, "IDLE", read.StateName)
	require.Equal(t, r.Tags, read.Tags)
	require.True(t, read.TerminationProtectionEnabled)
	listed, _, err := c.ListFlexClusters(ctx, group)
	require.NoError(t, err)
	require.Equal(t, []atlasclient.Cluster{*read}, listed)
	_, err = c.DeleteFlexCluster(ctx, group, "orders")
	require.EqualError(t, err, "DELETE "+flex+"/orders: 400 ATLAS_GENERAL_ERROR: "+
		"Reason: Cannot terminate a cluster when termination protection is enabled.")
	_, _, err = c.GetCluster(ctx, group, "orders")
	require.True(t, atlasclient.IsError(err, atlasclient.CodeFlexInClusterAPI))
	_, _, err = c.GetFlexCluster(ctx, group, "old")
	require.True(t, atlasclient.IsError(err, atlasclient.CodeNonFlexInFlexAPI))
	_, _, err = c.GetServerlessInstance(ctx, group, "old")
	require.True(t, atlasclient.IsError(err, atlasclient.CodeClusterInServerlessAPI, atlasclient.CodeServerlessInstanceNotFound))

	old, resp, err := c.GetCluster(ctx, group, "old")
	require.NoError(t, err)
	require.Equal(t, "old", old.Name)
	require.Empty(t, resp.Warnings, "the newest version is not deprecated")
	_, resp, err = c.UpgradeToServerless(ctx, group, atlasclient.ServerlessUpgradeRequest{
		Name:                    "old",
		ProviderSettings:        atlasclient.ProviderSettings{ProviderName: "SERVERLESS", BackingProviderName: "AWS", RegionName: "US_EAST_1"},
		ServerlessBackupOptions: &atlasclient.ServerlessBackupOptions{ServerlessContinuousBackupEnabled: ptr(true)},
	})
	require.NoError(t, err)
	require.Len(t, resp.Warnings, 1)
	instance, _, err := c.GetServerlessInstance(ctx, group, "old")
	require.NoError(t, err)
	require.NotEqual(t, old.ID, instance.ID)
	require.Equal(t, ptr(true), instance.ServerlessBackupOptions.ServerlessContinuousBackupEnabled)

	require.NoError(t, sim.CreateFlex(group, atlassim.FlexRequest{Name: "gone", ProviderSettings: atlassim.FlexProvider{BackingProviderName: "AWS", RegionName: "US_EAST_1"}}))
	resp, err = c.DeleteFlexCluster(ctx, group, "gone")
	require.NoError(t, err)
	require.Equal(t, 204, resp.Status)
	_, _, err = c.GetFlexCluster(ctx, group, "never")
	require.True(t, atlasclient.IsError(err, atlasclient.CodeClusterNotFound))
}

func ptr[T any](v T) *T { return &v }
