//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
)

// The credentials of the campaign. The secrets must turn up nowhere.
const (
	publicKey    = "chaospub"
	privateKey   = "chaos-private-key-that-must-stay-in"
	clientID     = "mdb_sa_id_chaos"
	clientSecret = "mdb_sa_sk_chaos-secret-that-must-stay-in"
)

// credential is that of a worker: an API key for each second one, a service account for the others.
func credential(worker int) []string {
	if worker%2 == 0 {
		return []string{"MONGODB_ATLAS_PUBLIC_API_KEY=" + publicKey, "MONGODB_ATLAS_PRIVATE_API_KEY=" + privateKey}
	}
	return []string{"MONGODB_ATLAS_CLIENT_ID=" + clientID, "MONGODB_ATLAS_CLIENT_SECRET=" + clientSecret}
}

// holdsSecret reports whether a text holds a secret of the campaign.
func holdsSecret(text string) bool {
	return strings.Contains(text, clientSecret) || strings.Contains(text, privateKey)
}

// campaign is one run of the program: its programs, and what was done to them.
type campaign struct {
	options  options
	stack    *stack.Stack
	temporal stack.Temporal
	random   *rand.Rand

	kills        int                // SIGKILL to a worker
	stops        int                // SIGTERM to a worker
	uncleanStops []string           // stops that took more than 10 s or did not exit with 0
	dueKills     []stack.Part       // parts of the Temporal server that are still to be killed
	partKills    map[stack.Part]int // SIGKILL to a part of the Temporal server
	operator     *operator
}

func newCampaign(o options) (*campaign, error) {
	s, err := stack.New(o.bin, o.temporalCLI)
	if err != nil {
		return nil, err
	}
	s.Env = append(s.Env, "LOG_LEVEL=debug")
	c := &campaign{
		options: o, stack: s, random: rand.New(rand.NewPCG(o.seed, 0)),
		dueKills: plannedKills(o), partKills: map[stack.Part]int{},
		operator: newOperator(s, o.seed),
	}
	if o.postgres.PostgreSQL == "" {
		c.temporal = stack.DevServer{Stack: s,
			Args: []string{"--headless", "--log-level", "error", "--db-filename", s.Path("temporal.db")}}
	} else if c.temporal, err = stack.NewPostgreSQLServer(s, o.postgres); err != nil {
		_ = os.Remove(s.Folder)
		return nil, err
	}
	return c, nil
}

func (c *campaign) start(ctx context.Context) error {
	if err := c.stack.StartAtlas(ctx, atlasSettings(c.options)); err != nil {
		return err
	}
	if err := c.temporal.Start(ctx); err != nil {
		return err
	}
	for i := range c.options.workers {
		if err := c.startWorker(i); err != nil {
			return err
		}
	}
	return nil
}

func workerName(i int) string { return fmt.Sprintf("worker-%d", i) }

// startWorker does not wait until the worker is ready: the server may be down.
func (c *campaign) startWorker(i int) error {
	cmd := c.stack.Command(c.stack.Program("worker"))
	cmd.Env = append(cmd.Env, credential(i)...)
	_, err := c.stack.Launch(workerName(i), cmd)
	return err
}
