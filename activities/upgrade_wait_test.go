package activities

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
)

// For a moment of an upgrade the API of each kind can say that the cluster is of the other kind. There is one, so that
// neither the request nor the wait fails, or takes it to be gone.
func TestBetweenKinds(t *testing.T) {
	t.Parallel()
	flexInClusters := `{"error":400,"errorCode":"CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API","detail":"","parameters":[]}`
	notFlexInFlex := `{"error":400,"errorCode":"CANNOT_USE_NON_FLEX_CLUSTER_IN_FLEX_API","detail":"","parameters":[]}`
	notFound := `{"error":404,"errorCode":"CLUSTER_NOT_FOUND","detail":"","parameters":[]}`
	for _, test := range []struct {
		name               string
		inClusters, inFlex string // the answers of the cluster API and of the flex API
		clusterType        string
	}{
		{"to dedicated: each API names the other", flexInClusters, notFlexInFlex, contract.ClusterTypeDedicated},
		{"to dedicated: not found in the flex API", flexInClusters, notFound, contract.ClusterTypeDedicated},
		{"to Flex: each API names the other", flexInClusters, notFlexInFlex, contract.ClusterTypeFlex},
		{"to Flex: not found in the flex API", flexInClusters, notFound, contract.ClusterTypeFlex},
		{"to Flex: not found in the cluster API", notFound, notFlexInFlex, contract.ClusterTypeFlex},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			answer := func(body string) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					status := http.StatusBadRequest
					if body == notFound {
						status = http.StatusNotFound
					}
					w.WriteHeader(status)
					_, _ = io.WriteString(w, body)
				}
			}
			mux.Handle("GET /api/atlas/v2/groups/"+group+"/clusters/orders", answer(test.inClusters))
			mux.Handle("GET /api/atlas/v2/groups/"+group+"/flexClusters/orders", answer(test.inFlex))
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			atlas, err := atlasclient.New(atlasclient.Options{BaseURL: server.URL})
			require.NoError(t, err)
			a := New(atlas, reads.New(atlas), Pace{})
			env := AttemptEnvironment(a, func(i *activity.Info) {
				i.Attempt, i.StartedTime, i.ScheduledTime = 9, time.Now(), time.Now().Add(-time.Hour)
			})
			_, err = env.ExecuteActivity(a.WaitUntilAsAsked, WaitInput{
				GroupID: group, Name: "orders", ClusterType: test.clusterType, Upgraded: true, Shown: true,
				StateName: contract.StateUpdating, Deadline: time.Now().Add(time.Hour),
			})
			requireFailureType(t, err, contract.NotYet)
			if test.clusterType == contract.ClusterTypeDedicated {
				_, err = env.ExecuteActivity(a.UpgradeClusterToDedicated, UpgradeToDedicatedInput{
					Request: contract.UpgradeToDedicatedInput{GroupID: group, Name: "orders"},
				})
			} else {
				_, err = env.ExecuteActivity(a.UpgradeClusterToFlex, UpgradeToFlexInput{
					Request: contract.UpgradeToFlexInput{GroupID: group, Name: "orders"},
				})
			}
			requireFailure(t, err, contract.NotYet,
				`cluster "orders": neither kind of cluster is shown at the moment, as it can be during an upgrade`)
		})
	}
}

// A wait for an upgrade knows a cluster that was made after its own was shown as another one, though neither id nor
// tags tell.
func TestStillOurs(t *testing.T) {
	t.Parallel()
	shown := time.Date(2026, 9, 1, 12, 0, 5, 0, time.UTC)
	for _, test := range []struct {
		name    string
		owner   string
		created time.Time
		shownAt time.Time
		message string
	}{
		{name: "ours, made by the upgrade", owner: ourID, created: shown, shownAt: shown},
		{name: "ours, and younger", owner: ourID, created: shown.Add(time.Hour), shownAt: shown},
		{name: "without a tag, made by the upgrade", created: shown, shownAt: shown},
		{name: "without a tag, made in the same moment", created: shown.Add(2 * time.Second), shownAt: shown},
		{name: "without a tag, and it is not known when Atlas showed it", created: shown.Add(time.Hour)},
		{
			name: "without a tag, and younger", created: shown.Add(3 * time.Second), shownAt: shown,
			message: `a cluster that was made since has taken its place (it carries no tag ` +
				`atlas-provisioner-workflow). It was left untouched: look in Atlas who made it`,
		},
		{
			name: "another workflow's", owner: "somebody", created: shown, shownAt: shown,
			message: `it is not this workflow's (workflow "somebody" made it). It was left untouched: use the ` +
				`workflow id that made it`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			saw := clusterSeen{state: contract.StateIdle, owner: test.owner}.as(dedicated)
			saw.cluster.CreateDate = test.created
			w := &wait{attempt: &attempt{}, in: WaitInput{Name: "orders", Upgraded: true, ShownAt: test.shownAt}}
			w.attempt.info.WorkflowExecution.ID = ourID
			failureType := ""
			if test.message != "" {
				failureType = contract.ClusterConflict
			}
			requireFailure(t, w.checkStillOurs(*saw), failureType, `cluster "orders": `+test.message)
		})
	}
}
