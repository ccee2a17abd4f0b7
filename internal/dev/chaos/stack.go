//go:build unix

package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
)

// The service account of the campaign. Its secret must turn up nowhere.
const (
	clientID     = "mdb_sa_id_chaos"
	clientSecret = "mdb_sa_sk_chaos-secret-that-must-stay-in"
)

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
}

func newCampaign(o options) (*campaign, error) {
	s, err := stack.New(o.bin, o.temporalCLI)
	if err != nil {
		return nil, err
	}
	s.Credential = []string{"MONGODB_ATLAS_CLIENT_ID=" + clientID, "MONGODB_ATLAS_CLIENT_SECRET=" + clientSecret}
	s.Env = append(s.Env, "LOG_LEVEL=debug")
	c := &campaign{
		options: o, stack: s, random: rand.New(rand.NewPCG(o.seed, 0)),
		dueKills: plannedKills(o), partKills: map[stack.Part]int{},
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
	_, err := c.stack.Launch(workerName(i), c.stack.WorkerCommand(c.stack.Program("worker")))
	return err
}

// readFaults is how many of the faults can meet a read.
const readFaults = 15

// faults are all the ways in which Atlas fails. The first 15 can meet any request, the others only a POST.
func faults() []atlassim.Fault {
	return []atlassim.Fault{
		{Kind: atlassim.FaultStatus, Status: 500, ErrorCode: "UNEXPECTED_ERROR", Detail: "Unexpected error."},
		{Kind: atlassim.FaultStatus, Status: 500, ErrorCode: "UNEXPECTED_ERROR", AfterEffect: true},
		{Kind: atlassim.FaultHTML, Status: 502},
		{Kind: atlassim.FaultHTML, Status: 503, RetryAfter: "1"},
		{Kind: atlassim.FaultStatus, Status: 429, ErrorCode: "RATE_LIMITED", RetryAfter: "2"},
		{Kind: atlassim.FaultStatus, Status: 429, ErrorCode: "RATE_LIMITED_TOKEN_BUCKET", RetryAfter: "0"},
		{Kind: atlassim.FaultReset},
		{Kind: atlassim.FaultLost},
		{Kind: atlassim.FaultHang, Hang: atlassim.Duration(20 * time.Second)},
		{Kind: atlassim.FaultHang, Hang: atlassim.Duration(20 * time.Second), AfterEffect: true},
		{Kind: atlassim.FaultTruncate},
		{Kind: atlassim.FaultOversize, AfterEffect: true},
		{Kind: atlassim.FaultGarbage},
		{Kind: atlassim.FaultStatus, Status: 408, ErrorCode: "REQUEST_TIMEOUT", AfterEffect: true},
		{Kind: atlassim.FaultStatus, Status: 425},
		{Method: http.MethodPost, Kind: atlassim.FaultStatus, Status: 405,
			ErrorCode: "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES"},
		{Method: http.MethodPost, Kind: atlassim.FaultStatus, Status: 400,
			ErrorCode: "CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP"},
	}
}

// atlasSettings are those of an Atlas that fails as often as asked, in every way it can.
func atlasSettings(o options) stack.Settings {
	shared := []atlassim.SharedCluster{}
	for i := range o.upgrades {
		shared = append(shared, atlassim.SharedCluster{GroupID: groupID(i), Name: upgradeName(i)})
	}
	all := faults()
	for i := range all {
		// The simulator tries one fault after another until one strikes.
		all[i].Probability = 1 - math.Pow(1-o.faults, 1.0/readFaults)
		all[i].Path, all[i].Seed = "/groups/", o.seed<<8+uint64(i)
	}
	return stack.Settings{
		"clientId": clientID, "clientSecret": clientSecret,
		// Real Atlas gives 10 tokens a minute. Workers that are restarted every three seconds need more.
		"tokensPerMinute": 120,
		"createFor":       "3s", "hiddenFor": "500ms", "standardAfter": "1s",
		"upgradeFor": "20s", "staleIdleFor": "1s",
		"shared": shared, "faults": all,
	}
}
