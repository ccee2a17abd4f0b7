//go:build unix

package stack

import (
	"context"
	"encoding/json"
	"net/http"
	"os"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// Settings are the simulator's, by the names of its configuration file.
type Settings map[string]any

// StartAtlas starts the simulator and waits until it serves.
func (s *Stack) StartAtlas(ctx context.Context, settings Settings, args ...string) error {
	config, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	path := s.Path("atlas-sim.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return err
	}
	args = append([]string{"-addr", s.AtlasAddress, "-config", path}, args...)
	return s.Start(ctx, "atlas-sim", s.Command(s.Program("atlas-sim"), args...), func(ctx context.Context) bool {
		return s.Control(ctx, http.MethodGet, "healthz", nil, nil) == nil
	})
}

// Control asks the simulator's control interface, as atlassim.Control does.
func (s *Stack) Control(ctx context.Context, method, path string, body, into any) error {
	return atlassim.Control(ctx, "http://"+s.AtlasAddress, method, path, body, into)
}

// Ledger is every request that the simulator got.
func (s *Stack) Ledger(ctx context.Context) (entries []atlassim.Entry, err error) {
	return entries, s.Control(ctx, http.MethodGet, "ledger", nil, &entries)
}

// Clusters are those that the simulator has.
func (s *Stack) Clusters(ctx context.Context) (clusters []atlassim.Cluster, err error) {
	return clusters, s.Control(ctx, http.MethodGet, "clusters", nil, &clusters)
}
