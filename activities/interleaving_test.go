package activities_test

import (
	"bytes"
	"context"
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
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"pgregory.net/rapid"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/temporaltest"
)

const (
	projectID  = "32b6e34b3d91647abb20e7b8"
	workflowID = "provision-flex-" + projectID + "-orders"
)

// asked is the request of every scenario.
var asked = contract.ProvisionFlexClusterInput{
	GroupID: projectID, Name: "orders", Tags: []contract.Tag{{Key: "team", Value: "orders"}},
	ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
}

// step is what happens around one request: what goes wrong with it, what others
// do while it is on its way, and whether the worker is killed with it.
type step struct {
	fault                      string // a key of faults
	arrived, applied, answered string // by others, at each stage of the request: "", create, delete
	crash                      string // "", before (it is sent), after (it had its answer)
}

// faults are those after which an attempt is tried again.
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

// scenario is one interleaving.
type scenario struct {
	tagged bool
	before string // who has the name already: "", earlier (run of ours), somebody
	// like is what somebody else's cluster looks like: ours in every field (and
	// without our tag), another region, another workflow's. old is that of the
	// one from before the run.
	like, old string
	hiddenFor time.Duration // how long a read lags behind a create
	skew      time.Duration // of Temporal's clock against Atlas's
	steps     []step
}

func scenarios(tagged bool) *rapid.Generator[scenario] {
	names := []string{"", "", ""}
	for name := range faults {
		names = append(names, name)
	}
	slices.Sort(names)
	others := rapid.SampledFrom([]string{"", "", "", "", "create", "delete"})
	steps := rapid.Custom(func(t *rapid.T) step {
		return step{
			fault:   rapid.SampledFrom(names).Draw(t, "fault"),
			arrived: others.Draw(t, "arrived"), applied: others.Draw(t, "applied"), answered: others.Draw(t, "answered"),
			crash: rapid.SampledFrom([]string{"", "", "", "before", "after"}).Draw(t, "crash"),
		}
	})
	// Without the ownership tag a cluster that is as asked in every field and no
	// older than the run is taken for ours, whoever made it: the README says so.
	before, like := []string{"", "", "somebody"}, []string{"region", "workflow"}
	if tagged {
		before, like = append(before, "earlier"), append(like, "same")
	}
	return rapid.Custom(func(t *rapid.T) scenario {
		return scenario{
			tagged: tagged,
			before: rapid.SampledFrom(before).Draw(t, "before"), like: rapid.SampledFrom(like).Draw(t, "like"),
			old:       rapid.SampledFrom([]string{"same", "region", "workflow"}).Draw(t, "old"),
			hiddenFor: rapid.SampledFrom([]time.Duration{0, 2 * time.Second, 10 * time.Second}).Draw(t, "hidden"),
			skew:      rapid.SampledFrom([]time.Duration{0, -time.Hour, time.Hour}).Draw(t, "skew"),
			steps:     rapid.SliceOfN(steps, 0, 8).Draw(t, "steps"),
		}
	})
}

// Whatever is lost, killed and tried again, and whatever others create and
// delete under the name meanwhile, a create ends
//
//   - with a cluster that this run made (CREATED) or an earlier run of the same
//     workflow (UNCHANGED), and that is there, unless somebody else deleted it;
//   - with CLUSTER_CONFLICT, and then somebody else had a hand in the name and
//     nothing that this run made is left;
//   - with CLUSTER_GONE, and then somebody else deleted what this run made.
//
// Atlas carries out one create, and one more for each of ours that somebody
// deleted. Nothing but creates and reads is ever sent.
func TestCreateInterleavings(t *testing.T) {
	for _, tagged := range []bool{true, false} {
		t.Run(fmt.Sprintf("tag %t", tagged), func(t *testing.T) {
			ends := map[string]int{}
			for range 10 { // of rapid's hundred each
				rapid.Check(t, func(rt *rapid.T) {
					s := scenarios(tagged).Draw(rt, "scenario")
					var end string
					var broken []string
					// In a bubble time passes at once, and one request is under
					// way at a time: a scenario always plays the same.
					synctest.Test(t, func(t *testing.T) { end, broken = play(t, s) })
					ends[end]++
					if len(broken) > 0 {
						rt.Fatalf("ended with %s, but %s", end, strings.Join(broken, "; "))
					}
				})
			}
			want := []string{"CREATED", "CLUSTER_CONFLICT", "CLUSTER_GONE"}
			if tagged {
				want = append(want, "UNCHANGED")
			}
			for _, end := range want {
				if ends[end] == 0 {
					t.Errorf("no scenario ended with %s: %v", end, ends)
				}
			}
			t.Log(ends)
		})
	}
}

// game is a scenario that is played.
type game struct {
	scenario
	sim  *atlassim.Server
	now  time.Duration // Atlas's clock is so much off
	dead bool          // the attempt's worker was killed

	// Requests follow one another, but the race detector sees no order between a
	// goroutine that ends and synctest.Wait.
	mu                    sync.Mutex
	asking                int             // the request under way
	ours, theirs, deleted map[string]bool // by id
	meddled               bool            // somebody else created or deleted
}

func play(t *testing.T, s scenario) (end string, broken []string) {
	g := &game{scenario: s, asking: -1, ours: map[string]bool{}, theirs: map[string]bool{}, deleted: map[string]bool{}}
	config := atlassim.DefaultConfig()
	config.HiddenFor, config.Hook = atlassim.Duration(s.hiddenFor), g.hook
	config.Now = func() time.Time { return time.Now().Add(g.now) }
	sim, err := atlassim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	g.sim = sim
	wire := atlassimtest.Pipe(t, sim)
	earlier := g.begin()
	result, err := g.run(t, wire)
	end = string(result.Outcome)
	var failure *temporal.ApplicationError
	if errors.As(err, &failure) {
		end = failure.Type()
	}
	return end, g.judge(end, result, earlier)
}

// begin puts in place what has the name from before the run: for an hour.
func (g *game) begin() (earlier string) {
	g.now = -time.Hour
	defer func() { g.now = 0 }()
	switch g.before {
	case "somebody":
		g.others("create", g.old)
	case "earlier":
		q := theirCluster("same")
		q.Tags = append(q.Tags, atlassim.Tag{Key: contract.OwnershipTag, Value: workflowID})
		if err := g.sim.CreateFlex(projectID, q); err != nil {
			panic(err)
		}
		return g.sim.Clusters()[0].ID
	}
	return ""
}

// run makes attempts as Temporal does, until one ends the activity.
func (g *game) run(t *testing.T, wire http.RoundTripper) (contract.Cluster, error) {
	temporalNow := func() time.Time { return time.Now().Add(g.skew) }
	started := temporalNow()
	for attempt := int32(1); attempt < 100; attempt++ {
		g.dead = false
		atlas, err := atlasclient.New(atlasclient.Options{BaseURL: "http://localhost", Transport: mortal{g, wire}})
		if err != nil {
			t.Fatal(err)
		}
		a := activities.New(atlas, activities.Pace{})
		env := environment(a, func(i *activity.Info) {
			i.Attempt, i.StartedTime, i.ScheduledTime, i.WorkflowExecution.ID = attempt, temporalNow(), started, workflowID
		})
		in := activities.CreateInput{Request: asked, WorkflowStarted: started}
		in.Request.OwnershipTag = &g.tagged
		value, err := env.ExecuteActivity(a.CreateFlexCluster, in)
		delay := min(time.Second<<min(attempt-1, 6), time.Minute)
		var failure *temporal.ApplicationError
		switch {
		case g.dead: // whatever it said, nobody heard: its heartbeat is missed
			delay += 10 * time.Second
		case err == nil:
			var c contract.Cluster
			return c, value.Get(&c)
		case !errors.As(err, &failure) || failure.NonRetryable():
			return contract.Cluster{}, err
		case failure.NextRetryDelay() > 0:
			delay = failure.NextRetryDelay()
		}
		time.Sleep(delay)
	}
	return contract.Cluster{}, errors.New("it does not end")
}

// mortal is the way of one attempt to Atlas: it plays the scenario's steps, and
// a worker that was killed sends and hears nothing.
type mortal struct {
	*game
	wire http.RoundTripper
}

var errKilled = errors.New("the worker was killed")

func (m mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.dead {
		return nil, errKilled
	}
	now := m.next()
	if now.crash == "before" {
		m.dead = true
		return nil, errKilled
	}
	m.sim.ClearFaults()
	if f, ok := faults[now.fault]; ok {
		f.Times = 1
		m.sim.AddFault(f)
	}
	resp, err := m.wire.RoundTrip(r)
	if err == nil {
		body, cut := io.ReadAll(resp.Body)
		resp.Body.Close()
		if cut == nil {
			cut = io.EOF
		}
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), iotest.ErrReader(cut)))
	}
	synctest.Wait() // others have done what they do once it is answered
	if now.crash == "after" {
		m.dead = true
		return nil, errKilled
	}
	return resp, err
}

// next is the step of a request that is about to be sent.
func (g *game) next() step {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asking++
	return g.step()
}

// step is the one for the request under way. After the last nothing goes wrong.
func (g *game) step() step {
	if g.asking < 0 || g.asking >= len(g.steps) {
		return step{}
	}
	return g.steps[g.asking]
}

func (g *game) hook(stage atlassim.Stage, e atlassim.Entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if stage == atlassim.Applied && e.Effect == atlassim.Created {
		g.ours[g.taken()] = true
	}
	g.others(map[atlassim.Stage]string{
		atlassim.Arrived: g.step().arrived, atlassim.Applied: g.step().applied, atlassim.Answered: g.step().answered,
	}[stage], g.like)
}

// others is what somebody else does.
func (g *game) others(do, like string) {
	switch {
	case do == "create" && g.sim.CreateFlex(projectID, theirCluster(like)) == nil:
		g.theirs[g.taken()], g.meddled = true, true
	case do == "delete" && g.taken() != "":
		if c := g.sim.Clusters()[0]; c.State != contract.StateDeleting && g.sim.Delete(projectID, asked.Name) == nil {
			g.deleted[c.ID], g.meddled = true, true
		}
	}
}

// taken is the id of the cluster that has the name.
func (g *game) taken() string {
	if all := g.sim.Clusters(); len(all) > 0 {
		return all[0].ID
	}
	return ""
}

func theirCluster(like string) atlassim.FlexRequest {
	q := atlassim.FlexRequest{
		Name: asked.Name, Tags: []atlassim.Tag{{Key: "team", Value: "orders"}},
		ProviderSettings: atlassim.FlexProvider{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	}
	switch like {
	case "region":
		q.ProviderSettings.RegionName = "EU_WEST_1"
	case "workflow":
		q.Tags = append(q.Tags, atlassim.Tag{Key: contract.OwnershipTag, Value: "provision-flex-of-somebody-else"})
	}
	return q
}

// judge names what does not hold.
func (g *game) judge(end string, result contract.Cluster, earlier string) (broken []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	must := func(holds bool, format string, args ...any) {
		if !holds {
			broken = append(broken, fmt.Sprintf(format, args...))
		}
	}
	var lost []string // of ours, those that somebody deleted
	for id := range g.ours {
		if g.deleted[id] {
			lost = append(lost, id)
		}
	}
	must(len(g.ours) <= 1+len(lost), "%d creates took effect and others deleted %d of them", len(g.ours), len(lost))
	must(len(g.ours) == g.sim.Count(atlassim.Created), "the ledger has %d creates", g.sim.Count(atlassim.Created))
	for _, e := range g.sim.Ledger() {
		must(e.Method == http.MethodGet || e.Method == http.MethodPost && strings.HasSuffix(e.Path, "/flexClusters"), "%s %s was sent", e.Method, e.Path)
	}
	for _, c := range g.sim.Clusters() {
		must(g.ours[c.ID] || g.theirs[c.ID] || c.ID == earlier, "there is a cluster of nobody's")
	}
	switch end {
	case "CREATED":
		must(g.ours[result.ID], "%s is not what this run made", result.ID)
		must(g.taken() == result.ID || g.deleted[result.ID], "it is not there")
	case "UNCHANGED":
		must(earlier != "" && result.ID == earlier, "%s is not what an earlier run made", result.ID)
	case contract.ClusterConflict:
		must(g.meddled, "nobody else had a hand in it")
		must(len(g.ours) == len(lost), "a cluster of ours is left behind")
		must(earlier == "" || g.deleted[earlier], "it is an earlier run's")
	case contract.ClusterGone:
		must(len(lost) > 0, "nobody deleted it")
	default:
		must(false, "that is no end of a create")
	}
	return broken
}

// environment runs activities of a as attempts whose info is edited first.
func environment(a *activities.Activities, edit func(*activity.Info)) *testsuite.TestActivityEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(temporaltest.Quiet())
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&attemptInfo{edit: edit}}})
	env.RegisterActivity(a)
	return env
}

// attemptInfo lets a test say which attempt of what it is; the SDK's own
// environment knows the first only.
type attemptInfo struct {
	interceptor.WorkerInterceptorBase
	edit func(*activity.Info)
}

func (a *attemptInfo) InterceptActivity(ctx context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &inbound{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, edit: a.edit}
}

type inbound struct {
	interceptor.ActivityInboundInterceptorBase
	edit func(*activity.Info)
}

func (i *inbound) Init(next interceptor.ActivityOutboundInterceptor) error {
	return i.Next.Init(&outbound{ActivityOutboundInterceptorBase: interceptor.ActivityOutboundInterceptorBase{Next: next}, edit: i.edit})
}

type outbound struct {
	interceptor.ActivityOutboundInterceptorBase
	edit func(*activity.Info)
}

func (o *outbound) GetInfo(ctx context.Context) activity.Info {
	info := o.Next.GetInfo(ctx)
	o.edit(&info)
	return info
}
