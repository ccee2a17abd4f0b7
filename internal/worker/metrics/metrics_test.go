package metrics_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/atlas-provisioner/atlas-provisioner/internal/ratelimit"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker/metrics"
)

// Each scrape shows what the sources return then. A state becomes a label only if it has the form of a name of Atlas's,
// so that whatever Atlas answers there are few labels.
func TestSources(t *testing.T) {
	t.Parallel()
	var limits []ratelimit.Usage
	waiting := map[string]int{}
	m, err := metrics.New(metrics.Sources{
		RateLimits: func() []ratelimit.Usage { return limits },
		Waiting:    func() map[string]int { return waiting },
	}, zap.NewNop())
	require.NoError(t, err)
	scrape := func() (lines []string) {
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		require.Equal(t, 200, w.Code)
		for line := range strings.Lines(w.Body.String()) {
			if strings.HasPrefix(line, "atlas_") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		return lines
	}
	require.Empty(t, scrape())
	limits = []ratelimit.Usage{{GroupID: "a", Resource: "flexClusters", Limit: 1200, Remaining: 7}}
	waiting = map[string]int{
		"CREATING":              3,
		"HTTP_409":              1,
		"":                      1,
		"orders":                2,
		"A B":                   4,
		strings.Repeat("A", 64): 1,
		strings.Repeat("A", 65): 1,
	}
	require.Equal(t, []string{
		`atlas_clusters_waiting{state=""} 1`,
		`atlas_clusters_waiting{state="` + strings.Repeat("A", 64) + `"} 1`,
		`atlas_clusters_waiting{state="CREATING"} 3`,
		`atlas_clusters_waiting{state="HTTP_409"} 1`,
		`atlas_clusters_waiting{state="OTHER"} 7`,
		`atlas_rate_limit{group_id="a",resource="flexClusters"} 1200`,
		`atlas_rate_limit_remaining{group_id="a",resource="flexClusters"} 7`,
	}, scrape())
	limits, waiting = nil, nil
	require.Empty(t, scrape())
}
