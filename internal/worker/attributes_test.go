package worker

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/atlas-provisioner/atlas-provisioner/internal/temporaltest"
)

// notAnOperator is a client that may use its namespace and nothing else, as
// every one of Temporal Cloud.
type notAnOperator struct{}

func (notAnOperator) CheckCallAllowed(_ context.Context, method string, _, _ any) error {
	if strings.Contains(method, "operatorservice") {
		return serviceerror.NewPermissionDenied("Request unauthorized.", "")
	}
	return nil
}

func TestSearchAttributesWithoutOperator(t *testing.T) {
	t.Parallel()
	c, err := client.Dial(client.Options{HostPort: server.FrontendHostPort(), TrafficController: notAnOperator{}, Logger: temporaltest.Quiet()})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.OperatorService().ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: "default"})
	require.ErrorContains(t, err, "Request unauthorized.")
	require.True(t, hasSearchAttributes(t.Context(), c, "default", zap.NewNop()))
}

// Attributes that cannot be asked for are as good as none, and the log says why.
func TestSearchAttributesUnknown(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.WarnLevel)
	c, err := client.Dial(client.Options{HostPort: server.FrontendHostPort(), Namespace: "no-such-namespace", Logger: temporaltest.Quiet()})
	require.NoError(t, err)
	defer c.Close()
	require.False(t, hasSearchAttributes(t.Context(), c, "no-such-namespace", zap.New(core)))
	require.Len(t, logs.All(), 1)
	require.Equal(t, "The namespace's search attributes cannot be read, so none are set", logs.All()[0].Message)
	require.Contains(t, logs.All()[0].ContextMap()["error"], "no-such-namespace is not found")
}
