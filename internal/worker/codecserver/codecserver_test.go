package codecserver_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker/codecserver"
)

// Without a token, the server does not start where Temporal does not answer: nobody could say who may read.
func TestTemporalDoesNotAnswer(t *testing.T) {
	t.Parallel()
	_, err := codecserver.New(t.Context(), codecserver.Options{
		Config:   codecserver.Config{Origins: []string{"https://temporal.example.com"}},
		Temporal: client.Options{HostPort: "127.0.0.1:1", Namespace: "default", Logger: testenv.Quiet()},
		Codec:    codec.Codec{}, Logger: zap.NewNop(),
	})
	require.ErrorContains(t, err, "the codec endpoint cannot ask Temporal who may read: "+
		`no word from Temporal on whether you may read namespace "default": `)
}
