package atlasclient_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
)

// An observation names the endpoint and never what it was asked for.
func TestObserve(t *testing.T) {
	t.Parallel()
	left := func(limit, remaining string) map[string]string {
		return map[string]string{"RateLimit-Limit": limit, "RateLimit-Remaining": remaining}
	}
	var seen []atlasclient.Observation
	c := newClient(t, atlasclient.Options{
		BaseURL: serve(t, script(t,
			step{want: "GET " + root + "/serverless/orders",
				instead: func(w http.ResponseWriter, _ *http.Request) { hangUp(w) }},
			step{want: "POST " + flex, status: 201, answer: flexAnswer, with: left("1200", "1199")},
			step{want: "POST " + root + "/clusters/tenantUpgradeToServerless", status: 410, with: left("10000", "0")},
			step{want: getOrders, answer: "{", with: left("1200", "many")},
			step{want: "GET " + root + "/clusters/orders", with: left("0", "0"), answer: ordersAnswer},
			step{want: "DELETE " + flex + "/orders", status: 202, answer: "{}"},
		)),
		Observe: func(_ context.Context, o atlasclient.Observation) {
			require.Positive(t, o.Duration)
			o.Duration = 0
			seen = append(seen, o)
		},
	})
	// The first of all: on a connection that was kept it would be sent again.
	_, _, err := c.GetServerlessInstance(t.Context(), group, "orders")
	require.Error(t, err)
	_, _, err = c.CreateFlexCluster(t.Context(), group, orders)
	require.NoError(t, err)
	_, _, err = c.UpgradeToServerless(t.Context(), group, atlasclient.ServerlessUpgradeRequest{})
	require.Error(t, err)
	require.Error(t, get(c, t.Context()))
	_, _, err = c.GetCluster(t.Context(), group, "orders")
	require.NoError(t, err)
	_, err = c.DeleteFlexCluster(t.Context(), group, "orders")
	require.NoError(t, err)
	require.Equal(t, []atlasclient.Observation{
		{Method: "GET", Endpoint: "/groups/{groupId}/serverless/{name}", GroupID: group},
		{Method: "POST", Endpoint: "/groups/{groupId}/flexClusters", GroupID: group, Status: 201,
			RateLimit: &atlasclient.RateLimit{Limit: 1200, Remaining: 1199}},
		{Method: "POST", Endpoint: "/groups/{groupId}/clusters/tenantUpgradeToServerless", GroupID: group, Status: 410,
			RateLimit: &atlasclient.RateLimit{Limit: 10000}},
		{Method: "GET", Endpoint: "/groups/{groupId}/flexClusters/{name}", GroupID: group, Status: 200},
		{Method: "GET", Endpoint: "/groups/{groupId}/clusters/{name}", GroupID: group, Status: 200},
		{Method: "DELETE", Endpoint: "/groups/{groupId}/flexClusters/{name}", GroupID: group, Status: 202},
	}, seen)
}

// Where there is no token to send a request with, the observation is of the token endpoint.
func TestObserveToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []atlasclient.Observation
		c := newClient(t, atlasclient.Options{
			BaseURL: "http://localhost", Auth: atlasclient.ServiceAccount{ClientID: "id", ClientSecret: "secret"},
			Transport: atlassimtest.Pipe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(3 * time.Second)
				w.WriteHeader(http.StatusTooManyRequests)
			})),
			Observe: func(_ context.Context, o atlasclient.Observation) { seen = append(seen, o) },
		})
		require.Error(t, get(c, t.Context()))
		require.Equal(t, []atlasclient.Observation{
			{Method: "POST", Endpoint: "/api/oauth/token", Status: 429, Duration: 3 * time.Second},
		}, seen)
	})
}
