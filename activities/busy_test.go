package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
)

// What has the name but is on its way out, or is being changed by others, is
// told apart: whether to wait, and what to do.
func TestBusyCluster(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		upgrade bool
		first   bool // the activity has made the cluster before
		busy    func(*atlassim.Server) error
		attempt int32
		kind    string
		message string
	}{
		{
			name: "the cluster of the name is being deleted", first: true, busy: deleteIt, attempt: 1,
			kind:    contract.NotYet,
			message: `cluster "orders": a cluster of that name is being deleted; the name is free within a minute`,
		},
		{
			name: "the instance is being deleted", upgrade: true, first: true, busy: deleteIt, attempt: 1,
			kind: contract.ClusterConflict,
			message: `cluster "orders": a serverless instance of that name is being deleted: start the workflow ` +
				`again in a minute`,
		},
		{
			name: "somebody changes the shared cluster", upgrade: true, attempt: 1, kind: contract.NotYet,
			busy: func(sim *atlassim.Server) error {
				return sim.SetState(projectID, "orders", contract.StateUpdating)
			},
			message: `cluster "orders": it is UPDATING; the upgrade is asked for once it is IDLE`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := atlassim.Config{
				DeleteFor:       atlassim.Duration(time.Hour),
				DeleteSharedFor: atlassim.Duration(time.Hour),
				UpgradeFor:      atlassim.Duration(time.Nanosecond),
			}
			if test.upgrade {
				config.Shared = []atlassim.SharedCluster{{GroupID: projectID, Name: "orders"}}
			}
			sim, url := atlassimtest.Start(t, config)
			atlas, err := atlasclient.New(atlasclient.Options{BaseURL: url})
			require.NoError(t, err)
			a := activities.New(atlas, reads.New(atlas), activities.Pace{})
			attempt := func(n int32) error {
				env := activities.AttemptEnvironment(a, func(i *activity.Info) { i.Attempt = n })
				if test.upgrade {
					env.SetHeartbeatDetails(map[string]any{"intentBy": n - 1}) // by the attempt before
				}
				started := time.Now().Add(-time.Minute)
				if test.upgrade {
					_, err = env.ExecuteActivity(a.UpgradeClusterToServerless, activities.UpgradeToServerlessInput{
						Run: activities.RunInfo{WorkflowStarted: started},
						Request: contract.UpgradeToServerlessInput{
							GroupID:          projectID,
							Name:             "orders",
							ProviderSettings: request.ProviderSettings,
						},
					})
				} else {
					_, err = env.ExecuteActivity(a.CreateFlexCluster,
						activities.CreateInput{Request: request, Run: activities.RunInfo{WorkflowStarted: started}})
				}
				return err
			}
			if test.first {
				require.NoError(t, attempt(2))
			}
			require.NoError(t, test.busy(sim))
			var failure *temporal.ApplicationError
			require.ErrorAs(t, attempt(test.attempt), &failure)
			require.Equal(t, test.kind, failure.Type())
			require.Equal(t, test.message, failure.Message())
			require.Equal(t, test.kind != contract.NotYet, failure.NonRetryable())
		})
	}
}

func deleteIt(sim *atlassim.Server) error { return sim.Delete(projectID, "orders") }
