package activities_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"pgregory.net/rapid"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
)

const (
	projectID  = "32b6e34b3d91647abb20e7b8"
	workflowID = "atlas-cluster-" + projectID + "-orders"
)

// request is the request of every scenario.
var request = contract.ProvisionFlexClusterInput{
	GroupID: projectID, Name: "orders", Tags: []contract.Tag{{Key: "team", Value: "orders"}},
	ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
}

// requestStep is what happens around one request to Atlas: what goes wrong with it, what other people do at each stage
// of it, and whether the worker is killed.
type requestStep struct {
	fault string // a key of faults, "" for none
	// What other people do when the request has arrived, when Atlas has applied it and when it is answered: create or
	// delete a cluster of the name, or "" for nothing.
	whenArrived, whenApplied, whenAnswered string
	// kill is when the worker is killed: before the request is sent, after it is answered, or "" for not at all.
	kill string
}

// faults are the faults after which an attempt is tried again.
var faults = map[string]atlassim.Fault{
	"500":          {Kind: atlassim.FaultStatus, Status: 500},
	"500 after":    {Kind: atlassim.FaultStatus, Status: 500, AfterEffect: true},
	"503":          {Kind: atlassim.FaultHTML, Status: 503, RetryAfter: "7"},
	"429":          {Kind: atlassim.FaultStatus, Status: 429, ErrorCode: "RATE_LIMITED", RetryAfter: "0"},
	"408 after":    {Kind: atlassim.FaultStatus, Status: 408, AfterEffect: true},
	"name held":    {Kind: atlassim.FaultStatus, Status: 400, ErrorCode: "CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP"},
	"reset":        {Kind: atlassim.FaultReset},
	"lost":         {Kind: atlassim.FaultLost},
	"hang":         {Kind: atlassim.FaultHang},
	"hang after":   {Kind: atlassim.FaultHang, AfterEffect: true},
	"truncated":    {Kind: atlassim.FaultTruncate},
	"garbage":      {Kind: atlassim.FaultGarbage},
	"slow, answer": {Kind: atlassim.FaultHang, Hang: atlassim.Duration(12 * time.Second), AfterEffect: true},
}

// scenario is one interleaving of a create with faults, killed workers and other people.
type scenario struct {
	ownershipTag bool
	// nameTakenBy is who has the name before the run: "earlier run" (of the same workflow), "others", or "" for nobody.
	nameTakenBy string
	// othersMake says what a cluster looks like that other people make during the run, and takenLooks what the one
	// looks like that they made before it: "same" as ours but for the tag, another "region", or tagged by another
	// "workflow".
	othersMake, takenLooks string
	hiddenFor              time.Duration // how long a read lags behind a create
	temporalAhead          time.Duration // of Temporal's clock before Atlas's
	steps                  []requestStep // one for each request, in order; after the last nothing goes wrong
}

// scenarios draws scenarios at random.
func scenarios(ownershipTag bool) *rapid.Generator[scenario] {
	names := []string{"", "", ""}
	for name := range faults {
		names = append(names, name)
	}
	slices.Sort(names)
	others := rapid.SampledFrom([]string{"", "", "", "", "create", "delete"})
	steps := rapid.Custom(func(t *rapid.T) requestStep {
		return requestStep{
			fault:        rapid.SampledFrom(names).Draw(t, "fault"),
			whenArrived:  others.Draw(t, "whenArrived"),
			whenApplied:  others.Draw(t, "whenApplied"),
			whenAnswered: others.Draw(t, "whenAnswered"),
			kill:         rapid.SampledFrom([]string{"", "", "", "before", "after"}).Draw(t, "kill"),
		}
	})
	// Without the ownership tag a cluster that is as asked in every field and no older than the run is taken for ours,
	// whoever made it: docs/reference.md says so. So other people make no such cluster then.
	nameTakenBy, othersMake := []string{"", "", "others"}, []string{"region", "workflow"}
	if ownershipTag {
		nameTakenBy, othersMake = append(nameTakenBy, "earlier run"), append(othersMake, "same")
	}
	return rapid.Custom(func(t *rapid.T) scenario {
		return scenario{
			ownershipTag: ownershipTag,
			nameTakenBy:  rapid.SampledFrom(nameTakenBy).Draw(t, "nameTakenBy"),
			othersMake:   rapid.SampledFrom(othersMake).Draw(t, "othersMake"),
			takenLooks:   rapid.SampledFrom([]string{"same", "region", "workflow"}).Draw(t, "takenLooks"),
			hiddenFor: rapid.SampledFrom([]time.Duration{0, 2 * time.Second, 10 * time.Second, 40 * time.Second}).
				Draw(t, "hiddenFor"),
			temporalAhead: rapid.SampledFrom([]time.Duration{0, -time.Hour, time.Hour}).Draw(t, "temporalAhead"),
			steps:         rapid.SliceOfN(steps, 0, 8).Draw(t, "steps"),
		}
	})
}

// Whatever is lost, killed and tried again, and whatever other people create and delete under the name meanwhile, a
// create ends
//
//   - with a cluster that this run made (CREATED) or an earlier run of the same workflow (UNCHANGED), and that is
//     there, unless somebody else deleted it;
//   - with CLUSTER_CONFLICT, and then somebody else created or deleted a cluster of the name, and nothing that this run
//     made is left.
//
// Atlas carries out one create, and one more for each cluster of ours that somebody deleted. Nothing but creates and
// reads is ever sent.
func TestCreateInterleavings(t *testing.T) {
	for _, ownershipTag := range []bool{true, false} {
		t.Run(fmt.Sprintf("ownershipTag %t", ownershipTag), func(t *testing.T) {
			count := map[string]int{}
			for range 10 { // of rapid's hundred each
				rapid.Check(t, func(rt *rapid.T) {
					s := scenarios(ownershipTag).Draw(rt, "scenario")
					var outcome string
					var broken []string
					// In a bubble time passes at once, and one request is under way at a time: a scenario always plays
					// the same.
					synctest.Test(t, func(t *testing.T) { outcome, broken = play(t, s) })
					count[outcome]++
					if len(broken) > 0 {
						rt.Fatalf("ended with %s, but %s", outcome, strings.Join(broken, "; "))
					}
				})
			}
			want := []string{"CREATED", "CLUSTER_CONFLICT"}
			if ownershipTag {
				want = append(want, "UNCHANGED")
			}
			for _, outcome := range want {
				if count[outcome] == 0 {
					t.Errorf("no scenario ended with %s: %v", outcome, count)
				}
			}
			t.Log(count)
		})
	}
}

// world is Atlas, a worker and other people while a scenario is played.
type world struct {
	scenario   scenario
	atlas      *atlassim.Server
	atlasAhead time.Duration // of Atlas's clock before this machine's
	killed     bool          // the worker of the attempt was killed

	// Requests follow one another, but the race detector sees no order between a goroutine that ends and synctest.Wait.
	mu           sync.Mutex
	requests     int             // how many were sent
	madeByRun    map[string]bool // ids of clusters
	madeByOthers map[string]bool // ids of clusters
	deleted      map[string]bool // ids of clusters
	othersActed  bool            // other people created or deleted a cluster of the name during the run
}

// play plays a scenario to its end, and names the promises that were broken.
func play(t *testing.T, s scenario) (outcome string, broken []string) {
	w := &world{scenario: s, madeByRun: map[string]bool{}, madeByOthers: map[string]bool{}, deleted: map[string]bool{}}
	config := atlassim.DefaultConfig()
	config.HiddenFor, config.Hook = atlassim.Duration(s.hiddenFor), w.atStage
	config.Now = func() time.Time { return time.Now().Add(w.atlasAhead) }
	atlas, err := atlassim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(atlas.Close)
	w.atlas = atlas
	earlier := w.takeNameAnHourAgo()
	cluster, err := w.runAttempts(t, atlassimtest.Pipe(t, atlas))
	outcome = string(cluster.Outcome)
	var failure *temporal.ApplicationError
	if errors.As(err, &failure) {
		outcome = failure.Type()
	}
	return outcome, w.brokenPromises(outcome, cluster, earlier)
}

// takeNameAnHourAgo makes the cluster that has the name before the run, and answers its id if an earlier run made it.
func (w *world) takeNameAnHourAgo() (earlier string) {
	w.atlasAhead = -time.Hour
	defer func() { w.atlasAhead = 0 }()
	switch w.scenario.nameTakenBy {
	case "others":
		w.actLocked("create", w.scenario.takenLooks)
	case "earlier run":
		cluster := clusterOfOthers("same")
		cluster.Tags = append(cluster.Tags, atlassim.Tag{Key: contract.OwnershipTag, Value: workflowID})
		if err := w.atlas.CreateFlex(projectID, cluster); err != nil {
			panic(err)
		}
		return w.existingLocked()
	}
	return ""
}

// runAttempts makes attempts as Temporal does, until one ends the activity or the time limit of the run is over.
func (w *world) runAttempts(t *testing.T, wire http.RoundTripper) (contract.Cluster, error) {
	temporalNow := func() time.Time { return time.Now().Add(w.scenario.temporalAhead) }
	started := temporalNow()
	for number := int32(1); number < 100; number++ {
		w.killed = false
		atlas, err := atlasclient.New(
			atlasclient.Options{BaseURL: "http://localhost", Transport: attemptTransport{w, wire}},
		)
		if err != nil {
			t.Fatal(err)
		}
		a := activities.New(atlas, reads.New(atlas), activities.Pace{})
		env := activities.AttemptEnvironment(a, func(i *activity.Info) {
			i.Attempt, i.WorkflowExecution.ID = number, workflowID
			i.StartedTime, i.ScheduledTime = temporalNow(), started
		})
		in := activities.CreateInput{Request: request, Run: activities.RunInfo{WorkflowStarted: started}}
		in.Request.OwnershipTag = &w.scenario.ownershipTag
		value, err := env.ExecuteActivity(a.CreateFlexCluster, in)
		delay := min(time.Second<<min(number-1, 6), time.Minute)
		var failure *temporal.ApplicationError
		switch {
		case w.killed: // Temporal hears nothing of the attempt, and notices by its missing heartbeat
			delay += 10 * time.Second
		case err == nil:
			var cluster contract.Cluster
			return cluster, value.Get(&cluster)
		case !errors.As(err, &failure) || failure.NonRetryable():
			return contract.Cluster{}, err
		case failure.NextRetryDelay() > 0:
			delay = failure.NextRetryDelay()
		}
		time.Sleep(delay)
	}
	return contract.Cluster{}, errors.New("it does not end")
}

// attemptTransport is the connection of one attempt to Atlas: it plays the scenario's steps. A worker that was killed
// sends nothing and gets no answer.
type attemptTransport struct {
	world *world
	wire  http.RoundTripper
}

var errKilled = errors.New("the worker was killed")

func (t attemptTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := t.world
	if w.killed {
		return nil, errKilled
	}
	step := w.nextStep()
	if step.kill == "before" {
		w.killed = true
		return nil, errKilled
	}
	w.atlas.ClearFaults()
	if f, ok := faults[step.fault]; ok {
		f.Times = 1
		w.atlas.AddFault(f)
	}
	resp, err := t.wire.RoundTrip(r)
	if err == nil {
		body, cut := io.ReadAll(resp.Body)
		resp.Body.Close()
		if cut == nil {
			cut = io.EOF
		}
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), iotest.ErrReader(cut)))
	}
	synctest.Wait() // other people have done what they do once the request is answered
	if step.kill == "after" {
		w.killed = true
		return nil, errKilled
	}
	return resp, err
}

// nextStep is the step of the request that is about to be sent.
func (w *world) nextStep() requestStep {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests++
	return w.stepLocked()
}

// stepLocked is the step of the request that was sent last.
func (w *world) stepLocked() requestStep {
	if w.requests < 1 || w.requests > len(w.scenario.steps) {
		return requestStep{}
	}
	return w.scenario.steps[w.requests-1]
}

// atStage is called by the simulator at each stage of a request.
func (w *world) atStage(stage atlassim.Stage, e atlassim.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if stage == atlassim.Applied && e.Effect == atlassim.Created {
		w.madeByRun[w.existingLocked()] = true
	}
	step := w.stepLocked()
	w.actLocked(map[atlassim.Stage]string{
		atlassim.Arrived: step.whenArrived, atlassim.Applied: step.whenApplied, atlassim.Answered: step.whenAnswered,
	}[stage], w.scenario.othersMake)
}

// actLocked is what other people do: create a cluster of the name, which looks so, delete the one that there is, or
// nothing.
func (w *world) actLocked(act, looks string) {
	switch {
	case act == "create" && w.atlas.CreateFlex(projectID, clusterOfOthers(looks)) == nil:
		w.madeByOthers[w.existingLocked()], w.othersActed = true, true
	case act == "delete" && w.existingLocked() != "":
		c := w.atlas.Clusters()[0]
		if c.State != contract.StateDeleting && w.atlas.Delete(projectID, request.Name) == nil {
			w.deleted[c.ID], w.othersActed = true, true
		}
	}
}

// existingLocked is the id of the cluster that has the name, "" for none.
func (w *world) existingLocked() string {
	if all := w.atlas.Clusters(); len(all) > 0 {
		return all[0].ID
	}
	return ""
}

func clusterOfOthers(looks string) atlassim.FlexRequest {
	r := atlassim.FlexRequest{
		Name: request.Name, Tags: []atlassim.Tag{{Key: "team", Value: "orders"}},
		ProviderSettings: atlassim.FlexProvider{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	}
	switch looks {
	case "region":
		r.ProviderSettings.RegionName = "EU_WEST_1"
	case "workflow":
		r.Tags = append(r.Tags, atlassim.Tag{Key: contract.OwnershipTag, Value: "atlas-cluster-of-others"})
	}
	return r
}

// brokenPromises names the promises of a create that this end breaks. earlier is the id of an earlier run's cluster.
func (w *world) brokenPromises(outcome string, cluster contract.Cluster, earlier string) (broken []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	require := func(holds bool, format string, args ...any) {
		if !holds {
			broken = append(broken, fmt.Sprintf(format, args...))
		}
	}
	deletedOfRun := 0
	for id := range w.madeByRun {
		if w.deleted[id] {
			deletedOfRun++
		}
	}
	require(len(w.madeByRun) <= 1+deletedOfRun, "%d creates took effect and others deleted %d of them",
		len(w.madeByRun), deletedOfRun)
	require(len(w.madeByRun) == w.atlas.Count(atlassim.Created), "the ledger has %d creates",
		w.atlas.Count(atlassim.Created))
	for _, e := range w.atlas.Ledger() {
		isCreate := e.Method == http.MethodPost && strings.HasSuffix(e.Path, "/flexClusters")
		require(e.Method == http.MethodGet || isCreate, "%s %s was sent", e.Method, e.Path)
	}
	for _, c := range w.atlas.Clusters() {
		require(w.madeByRun[c.ID] || w.madeByOthers[c.ID] || c.ID == earlier, "nobody made cluster %s", c.ID)
	}
	switch outcome {
	case "CREATED":
		require(w.madeByRun[cluster.ID], "this run did not make %s", cluster.ID)
		require(w.existingLocked() == cluster.ID || w.deleted[cluster.ID], "it is not there")
	case "UNCHANGED":
		require(earlier != "" && cluster.ID == earlier, "no earlier run made %s", cluster.ID)
	case contract.ClusterConflict:
		require(w.othersActed, "nobody else created or deleted anything")
		require(len(w.madeByRun) == deletedOfRun, "a cluster of this run is left behind")
		require(earlier == "" || w.deleted[earlier], "the name is an earlier run's")
	default:
		require(false, "that is no end of a create")
	}
	return broken
}
