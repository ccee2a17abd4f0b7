package atlasclient_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// An answer with status 2xx that is no cluster, or another cluster, is an error.
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
		{"a name of another type", `{"name":7,"stateName":"IDLE"}`,
			"the body is not the JSON expected: name is of type number"},
		{"tags of another type", `{"name":"orders","stateName":"IDLE","mongoDBVersion":8,"tags":"none"}`,
			"the body is not the JSON expected: tags is of type string"},
		{"a tag of another type", `{"name":"orders","stateName":"IDLE","tags":[{"key":"k","value":1}]}`,
			"the body is not the JSON expected: tags.value is of type number"},
		{"protection of another type", `{"name":"orders","stateName":"IDLE","terminationProtectionEnabled":"true"}`,
			"the body is not the JSON expected: terminationProtectionEnabled is of type string"},
		{"a string", `"IDLE"`, "the body is not the JSON expected: all of it is of type string"},
		{"too many tags", `{"name":"orders","stateName":"IDLE","tags":[` + strings.Repeat("null,", 100) + `null]}`,
			"the body is no cluster: it has 101 tags, and Atlas keeps 50"},
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

// A field that no decision depends on may be of another type. It is left empty.
func TestFieldsOfAnotherType(t *testing.T) {
	t.Parallel()
	for _, field := range []string{
		`"mongoDBVersion":8`, `"mongoDBVersion":null`, `"connectionStrings":""`, `"connectionStrings":[]`,
		`"connectionStrings":null`, `"connectionStrings":{"standard":null,"standardSrv":7}`, `"id":7`, `"groupId":{}`,
		`"providerSettings":{"diskSizeGB":"5"}`, `"providerSettings":{"diskSizeGB":1e999}`, `"tags":null`,
		`"serverlessBackupOptions":true`, `"serverlessBackupOptions":{"serverlessContinuousBackupEnabled":"yes"}`,
		`"links":7`, `"name":"orders"`,
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			body := `{"stateName":"IDLE",` + field + `,"name":"orders","terminationProtectionEnabled":true}`
			c := setup(t, step{want: getOrders, answer: body},
				step{want: "GET " + flex + "?includeCount=true&itemsPerPage=500&pageNum=1",
					answer: `{"totalCount":"one","results":[` + body + `]}`})
			cluster, _, err := c.GetFlexCluster(t.Context(), group, "orders")
			require.NoError(t, err)
			want := &atlasclient.Cluster{Name: "orders", StateName: "IDLE", TerminationProtectionEnabled: true}
			cluster.ServerlessBackupOptions = nil
			require.Equal(t, want, cluster)
			all, _, err := c.ListFlexClusters(t.Context(), group)
			require.NoError(t, err)
			require.Len(t, all, 1)
		})
	}
}

// createDate is read in all usual forms. Where it is no date, it is zero, and the rest of the cluster is read.
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
			c := setup(t, step{want: getOrders, answer: body}, step{
				want:   "GET " + flex + "?includeCount=true&itemsPerPage=500&pageNum=1",
				answer: `{"results":[` + body + `]}`,
			})
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

func TestWarnings(t *testing.T) {
	t.Parallel()
	const deprecation, sunset = "Wed, 5 Feb 2025 00:00:00 GMT", "Mon, 18 Jan 2027 00:00:00 GMT"
	const says = "Atlas says of GET " + root + "/serverless/orders (version 2023-01-01): "
	for _, test := range []struct {
		name   string
		header map[string]string
		want   []string
	}{
		{"none", nil, nil},
		{"deprecation", map[string]string{"Deprecation": deprecation}, []string{says + "Deprecation " + deprecation}},
		{"sunset", map[string]string{"Sunset": sunset}, []string{says + "Sunset " + sunset}},
		{"both", map[string]string{"Deprecation": deprecation, "Sunset": sunset},
			[]string{says + "Deprecation " + deprecation + ", Sunset " + sunset}},
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
