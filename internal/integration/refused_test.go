package integration

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// Row 1 of the contract's table: any 4xx that does not pass by itself fails at once, with Atlas's errorCode or
// HTTP_<status> as its type.
func TestFinal4xx(t *testing.T) {
	t.Parallel()
	const noErrorCode = "this answer names no errorCode, as those of Atlas do: look for a proxy or firewall between " +
		"the worker and Atlas, and check MONGODB_ATLAS_BASE_URL, then start the workflow again"
	for _, test := range []struct {
		name           string
		fault          atlassim.Fault
		wantType, want string // want follows `cluster "name": Atlas answered `
	}{
		{
			name: "402",
			fault: atlassim.Fault{
				Kind: atlassim.FaultStatus, Status: 402, ErrorCode: "NO_PAYMENT_INFORMATION_FOUND",
				Detail: "No payment information was found.", Reason: "Payment Required", Parameters: []any{"6a79"},
			},
			wantType: "NO_PAYMENT_INFORMATION_FOUND",
			want: "402 NO_PAYMENT_INFORMATION_FOUND (No payment information was found.): add a payment method " +
				"to the organization, then start the workflow again",
		},
		{
			name: "400",
			fault: atlassim.Fault{
				Kind: atlassim.FaultStatus, Status: 400, ErrorCode: "VALIDATION_ERROR",
				Detail: "Invalid.", Reason: "Bad Request",
			},
			wantType: "VALIDATION_ERROR",
			want:     "400 VALIDATION_ERROR (Invalid.): correct the request, then start the workflow again",
		},
		{
			name: "403",
			fault: atlassim.Fault{
				Kind: atlassim.FaultStatus, Status: 403, ErrorCode: "IP_ADDRESS_NOT_ON_ACCESS_LIST",
				Reason: "Forbidden", Detail: "IP address 10.0.0.1 is not allowed to access this resource.",
			},
			wantType: "IP_ADDRESS_NOT_ON_ACCESS_LIST",
			want: "403 IP_ADDRESS_NOT_ON_ACCESS_LIST (IP address 10.0.0.1 is not allowed to access this " +
				"resource.): add the worker's address to the API access list of its key or service account, then " +
				"start the workflow again",
		},
		{
			name: "409",
			fault: atlassim.Fault{
				Kind: atlassim.FaultStatus, Status: 409, ErrorCode: "OUT_OF_CAPACITY", Reason: "Conflict",
			},
			wantType: "OUT_OF_CAPACITY",
			want:     "409 OUT_OF_CAPACITY: choose another region, or wait, then start the workflow again",
		},
		{
			name:     "HTML",
			fault:    atlassim.Fault{Kind: atlassim.FaultHTML, Status: 403},
			wantType: "HTTP_403",
			want:     "403 Forbidden: " + noErrorCode,
		},
		{
			name:     "no such status",
			fault:    atlassim.Fault{Kind: atlassim.FaultHTML, Status: 499},
			wantType: "HTTP_499",
			want:     "499: " + noErrorCode,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{})
			test.fault.Method = http.MethodPost
			s.Sim.AddFault(test.fault)
			run := start(s, flex(t))
			_, err := result(s, run)
			f := testenv.Failure(t, err)
			require.Equal(t, test.wantType, f.Type)
			require.Equal(t, fmt.Sprintf("cluster %q: Atlas answered %s", flex(t).Name, test.want), f.Message)
			require.Equal(t, test.fault.Status, f.Details.Status)
			require.Equal(t, test.fault.ErrorCode, f.Details.ErrorCode)
			require.Equal(t, test.fault.Detail, f.Details.Detail)
			require.Equal(t, test.fault.Reason, f.Details.Reason)
			require.Equal(t, "POST", f.Details.Method)
			require.Equal(t, createPath, f.Details.Path)
			require.Equal(t, 1, s.Requests("POST", "/flexClusters"), "requests")
			if test.name == "402" {
				record(s, "provision-refused")
			}

			// The workflow's own failure is an application failure of the type, and the activity's is its cause.
			err = s.Temporal.GetWorkflow(s.Context(), run.WorkflowID, run.RunID).Get(s.Context(), nil)
			var own, cause *temporal.ApplicationError
			require.ErrorAs(t, err, &own)
			require.Equal(t, test.wantType, own.Type())
			require.True(t, own.NonRetryable())
			var activity *temporal.ActivityError
			require.ErrorAs(t, errors.Unwrap(own), &activity)
			require.ErrorAs(t, activity, &cause)
			require.Equal(t, test.wantType, cause.Type())
		})
	}
}

// The simulator's own refusals, which are Atlas's.
func TestProjectAndKey(t *testing.T) {
	t.Parallel()
	t.Run("no such project", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{Groups: []string{"111111111111111111111111"}})
		_, err := execute(s, flex(t))
		require.Equal(t, "GROUP_NOT_FOUND", testenv.Failure(t, err).Type)
		require.Equal(t,
			fmt.Sprintf(
				"cluster %q: Atlas answered 404 GROUP_NOT_FOUND (No group with ID %s exists.): correct groupId, "+
					"then start the workflow again",
				flex(t).Name,
				project,
			),
			testenv.Failure(t, err).Message,
		)
	})
	t.Run("not the key's project", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{ForeignGroups: []string{project}})
		_, err := execute(s, flex(t))
		require.Equal(t, "NOT_IN_GROUP", testenv.Failure(t, err).Type)
		require.Contains(t,
			testenv.Failure(t, err).Message,
			"give the worker's key or service account the role Project Owner in this project, or correct groupId",
		)
	})
	t.Run("wrong key", func(t *testing.T) {
		t.Parallel()
		s := setup(t,
			atlassim.Config{},
			withAuth(atlasclient.APIKey{PublicKey: testenv.PublicKey, PrivateKey: "wrong"}),
		)
		_, err := execute(s, flex(t))
		require.Equal(t, 401, testenv.Failure(t, err).Details.Status)
		require.Contains(t,
			testenv.Failure(t, err).Message,
			"check the worker's Atlas credential (MONGODB_ATLAS_…), then start the workflow again",
		)
	})
	t.Run("wrong client secret", func(t *testing.T) {
		t.Parallel()
		s := setup(t,
			atlassim.Config{ClientID: "mdb_sa_id_1", ClientSecret: "right"},
			withAuth(atlasclient.ServiceAccount{ClientID: "mdb_sa_id_1", ClientSecret: "wrong"}),
		)
		_, err := execute(s, flex(t))
		f := testenv.Failure(t, err)
		require.Equal(t, 401, f.Details.Status)
		require.Equal(t, "/api/oauth/token", f.Details.Path)
		require.Contains(t, f.Message, "check the worker's Atlas credential (MONGODB_ATLAS_…)")
	})
}
