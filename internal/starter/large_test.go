package starter

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// fileWithLarge is a file of requests of which the one for "large" is in a region of its own.
func (s *stack) fileWithLarge(region string, names ...string) string {
	s.t.Helper()
	text, err := os.ReadFile(s.file(append([]string{"large"}, names...)...))
	require.NoError(s.t, err)
	return write(s.t, "clusters.yaml", strings.Replace(string(text), "US_EAST_1", "'"+region+"'", 1))
}

// A request that is too large for Temporal fails alone, whichever limit it is over: the others are started.
func TestRequestTooLarge(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		region string
		why    string
	}{
		{"for a payload", strings.Repeat("R", 2<<20), "Temporal at ADDRESS refuses the request: Blob data size " +
			"exceeds limit."},
		// JSON spells each of these in six bytes.
		{"for a message", strings.Repeat("<", 1<<20), tooLargeMessage},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setupWithoutWorker(t, atlassim.Config{})
			require.Equal(t, output{
				code: 1, stderr: "starter: 1 of 3 failed; each says why and what to do\n",
				stdout: "REFUSED  atlas-cluster-PROJECT-large   INVALID_INPUT: " + test.why + "\n" +
					"STARTED  atlas-cluster-PROJECT-orders\nSTARTED  atlas-cluster-PROJECT-stock\n",
			}, s.run("provision-flex", "-f", s.fileWithLarge(test.region, "orders", "stock")))
			require.Equal(t, output{code: 2, stderr: "starter: nothing was started; each says why\n",
				stdout: "REFUSED  atlas-cluster-PROJECT-large  INVALID_INPUT: " + test.why + "\n"},
				s.run("provision-flex", "-f", s.fileWithLarge(test.region)))
			require.Equal(
				t,
				output{code: 2, stderr: "starter: " + test.why + "\n"},
				s.run(s.flags("provision-flex", "--region", test.region)...),
			)
		})
	}
}
