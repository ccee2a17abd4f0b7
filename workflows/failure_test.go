package workflows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// What the end of an activity means for the run, and how that is put into words.
func TestFailures(t *testing.T) {
	t.Parallel()
	activityFailure := func(failureType string, final bool, details any) error {
		return temporal.NewApplicationErrorWithOptions(`cluster "orders": something`, failureType,
			temporal.ApplicationErrorOptions{NonRetryable: final, Details: []any{details}})
	}
	const (
		goOn = ": start the workflow again under the same id to go on waiting, or delete it with the workflow " +
			"DeleteCluster"
		nothing = "Nothing is known to have been made: start the workflow again under the same id to make sure"
	)
	for _, test := range []struct {
		name        string
		err         error
		accepted    bool
		state       string // that the run knew before
		noTag       bool
		failureType string
		stateName   string
		message     string
	}{
		{
			name:        "refused by Atlas",
			err:         activityFailure("VALIDATION_ERROR", true, contract.FailureDetails{Status: 400}),
			failureType: "VALIDATION_ERROR", message: `cluster "orders": something`,
		},
		{
			name: "a look that was refused", accepted: true, state: "CREATING",
			err: activityFailure("IP_ADDRESS_NOT_ON_ACCESS_LIST", true,
				contract.FailureDetails{Status: 403, StateName: "UPDATING"}),
			failureType: "IP_ADDRESS_NOT_ON_ACCESS_LIST", stateName: "UPDATING",
			message: `cluster "orders": something. The cluster is left as it is (UPDATING)` + goOn,
		},
		{
			name: "a look that was refused before the first state was seen", accepted: true, state: "CREATING",
			err:         activityFailure("HTTP_401", true, contract.FailureDetails{Status: 401}),
			failureType: "HTTP_401", stateName: "CREATING",
			message: `cluster "orders": something. The cluster is left as it is (CREATING)` + goOn,
		},
		{
			name: "a look that was refused, without the ownership tag", accepted: true, state: "CREATING", noTag: true,
			err:         activityFailure("HTTP_401", true, contract.FailureDetails{Status: 401}),
			failureType: "HTTP_401", stateName: "CREATING",
			message: `cluster "orders": something. The cluster is left as it is (CREATING): without the ownership ` +
				`tag no later run ` +
				"takes it up, so wait for it or delete it in Atlas",
		},
		{
			name: "gone", accepted: true, state: "CREATING",
			err:         activityFailure(contract.ClusterGone, true, contract.FailureDetails{}),
			failureType: contract.ClusterGone, message: `cluster "orders": something`,
		},
		{
			name:        "503 until the time was up",
			err:         activityFailure("HTTP_503", false, contract.FailureDetails{Status: 503}),
			failureType: "HTTP_503",
			message: `cluster "orders": something, for which no time was left within 30m0s (timeoutSeconds). ` +
				nothing +
				". If Atlas goes on answering so, check providerSettings.regionName, since it does not refuse every " +
				"region that it does not have, and https://status.mongodb.com",
		},
		{
			name:        "429 until the time was up",
			err:         activityFailure("RATE_LIMITED", false, contract.FailureDetails{Status: 429}),
			failureType: "RATE_LIMITED",
			message: `cluster "orders": something, for which no time was left within 30m0s (timeoutSeconds). ` +
				nothing,
		},
		{
			name: "429 until the time was up, without the ownership tag", noTag: true,
			err:         activityFailure("RATE_LIMITED", false, contract.FailureDetails{Status: 429}),
			failureType: "RATE_LIMITED",
			message: `cluster "orders": something, for which no time was left within 30m0s (timeoutSeconds). ` +
				`Nothing is known to ` +
				"have been made: without the ownership tag no later run takes up what was made, so look in Atlas " +
				"before you start the workflow again",
		},
		{
			name:        "never sent, for want of budget",
			err:         activityFailure(contract.NotYet, false, contract.FailureDetails{}),
			failureType: contract.Timeout,
			message: `cluster "orders": something, for which no time was left within 30m0s (timeoutSeconds). ` +
				nothing,
		},
		{
			name: "no time to begin", err: errNoTimeLeft, failureType: contract.Timeout,
			message: `cluster "orders" was not IDLE within 30m0s (timeoutSeconds): no worker finished the request ` +
				`in that time. ` + nothing,
		},
		{
			name: "not IDLE in time", accepted: true, state: "CREATING",
			err:         activityFailure(contract.Timeout, true, contract.FailureDetails{StateName: "REPAIRING"}),
			failureType: contract.Timeout, stateName: "REPAIRING",
			message: `cluster "orders" was not IDLE within 30m0s (timeoutSeconds): the last state seen was ` +
				`REPAIRING. ` +
				"The cluster is left as it is (REPAIRING)" + goOn,
		},
		{
			name: "looks that failed until the time was up", accepted: true, state: "CREATING",
			err: activityFailure("HTTP_503", false,
				contract.FailureDetails{Status: 503, StateName: "CREATING"}),
			failureType: contract.Timeout, stateName: "CREATING",
			message: `cluster "orders" was not IDLE within 30m0s (timeoutSeconds): the last state seen was CREATING; ` +
				`the last answer was: cluster "orders": something. The cluster is left as it is (CREATING)` + goOn,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := &run{
				cluster: contract.ClusterRef{Name: "orders"}, timeout: 30 * time.Minute, accepted: test.accepted,
				goal: "IDLE", plan: plan{canBeTaken: !test.noTag, creates: true, effect: "made"},
			}
			f := classify(test.err, test.accepted, test.state)
			require.Equal(t, test.failureType, f.failureType)
			require.Equal(t, test.stateName, f.details.StateName)
			r.status.StateName = f.details.StateName
			require.Equal(t, test.message, r.render(f))
		})
	}
}
