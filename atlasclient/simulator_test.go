package atlasclient_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// Sixty creates at once, each with a read, succeed though the simulator refuses replays and ends nonces after a few
// uses.
func TestManyCreatesWithoutReplays(t *testing.T) {
	t.Parallel()
	cfg := keyedSim
	cfg.RefuseReplays, cfg.NonceUses = true, 4
	c, sim := setupSim(t, cfg, apiKey)
	atOnce(60, func(i int) {
		r := orders
		r.Name = fmt.Sprintf("c%d-orders", i)
		_, _, err := c.CreateFlexCluster(t.Context(), group, r)
		assert.NoError(t, err)
		_, _, err = c.GetFlexCluster(t.Context(), group, r.Name)
		assert.NoError(t, err)
	})
	require.Equal(t, 60, sim.Count(atlassim.Created))
}

// Where one of twenty well-signed requests is refused, a request is asked again at once, and one that is refused
// several times in a row passes by itself.
func TestManyCreatesWithRefusals(t *testing.T) {
	t.Parallel()
	cfg := keyedSim
	cfg.RefuseReplays = true
	c, sim := setupSim(t, cfg, apiKey)
	require.NoError(t, list(c, t.Context()))
	sim.AddFault(atlassim.Fault{Kind: atlassim.FaultUnauthorized, Probability: 0.05, Seed: 1})
	var again atomic.Int32
	atOnce(60, func(i int) {
		r := orders
		r.Name = fmt.Sprintf("c%d-orders", i)
		for {
			_, _, err := c.CreateFlexCluster(t.Context(), group, r)
			if err == nil {
				return
			}
			if !assert.True(t, asError(t, err).Transient, err) {
				return
			}
			again.Add(1)
		}
	})
	require.Equal(t, 60, sim.Count(atlassim.Created))
	require.LessOrEqual(t, again.Load(), int32(3))
}

// A gateway that drops the query costs two requests.
func TestGatewayThatDropsTheQuery(t *testing.T) {
	t.Parallel()
	c, sim := setupSim(t, atlassim.Config{}, nil)
	for i := range 120 { // the first page, without its size, has 100
		r := orders
		r.Name = fmt.Sprintf("c%d-orders", i)
		_, _, err := c.CreateFlexCluster(t.Context(), group, r)
		require.NoError(t, err)
	}
	require.NoError(t, list(c, t.Context()))
	before := len(sim.Ledger())
	sim.AddFault(atlassim.Fault{Kind: atlassim.FaultDropQuery})
	e := asError(t, list(c, t.Context()))
	require.Equal(t, 200, e.Status)
	require.LessOrEqual(t, len(sim.Ledger())-before, 2)
}

// Texts of the simulator that are not UTF-8, or have 3 MB, come out plain.
func TestSimulatorTexts(t *testing.T) {
	t.Parallel()
	for _, kind := range []atlassim.FaultKind{atlassim.FaultBadText, atlassim.FaultLongText} {
		for name, credential := range map[string]atlasclient.Auth{
			"none": nil, "API key": apiKey, "service account": account,
		} {
			t.Run(fmt.Sprint(kind, " ", name), func(t *testing.T) {
				t.Parallel()
				c, sim := setupSim(t, atlassim.Config{}, nil)
				if credential != nil {
					cfg := keyedSim
					cfg.ClientID, cfg.ClientSecret = accountSim.ClientID, accountSim.ClientSecret
					cfg.TokenTTL = accountSim.TokenTTL
					c, sim = setupSim(t, cfg, credential)
				}
				sim.AddFault(atlassim.Fault{Kind: kind})
				e := asError(t, get(c, t.Context()))
				require.Equal(t, 503, e.Status)
				requireAllPlain(t, e)
			})
		}
	}
}
