package activities_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"pgregory.net/rapid"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
)

// upgradeScenario is one interleaving of an upgrade with faults, killed workers, resets and other people.
type upgradeScenario struct {
	dedicated bool // the upgrade is to dedicated, else to Flex
	asksTags  bool // an upgrade to dedicated asks for tags, else it keeps those that there are
	adopt     bool // an upgrade to dedicated takes over a cluster without a tag
	// before is what there is before the run: "source" is the cluster to upgrade; "untagged" is a source without the
	// ownership tag; "others" is one that another workflow made; "upgrading" is one that an earlier run is upgrading;
	// "upgraded" is one that an earlier run has upgraded.
	before string
	// othersMake says what a cluster looks like that other people make during the run: of the "old" or the "new" kind,
	// without a tag or with another "workflow's".
	othersMake             string
	upgradeFor             time.Duration
	staleReads             int           // reads that show the cluster IDLE as before the upgrade
	staleFor               time.Duration // and for how long all do
	updateFor              time.Duration // a change of tags takes so long
	temporalAhead          time.Duration // of Temporal's clock before Atlas's
	resetAfter             int           // attempts until an operator resets the run to its first point; 0 for never
	steps                  []requestStep // one for each request, in order; after the last nothing goes wrong
	waitsBetween, downtime time.Duration // until the workflow goes on, and until another worker is there
}

// upgradeScenarios draws scenarios at random.
func upgradeScenarios(dedicated bool) *rapid.Generator[upgradeScenario] {
	// Most requests go well and most stages of a request are quiet, or no upgrade would come far.
	names := make([]string, 2*len(faults))
	for name := range faults {
		names = append(names, name)
	}
	slices.Sort(names)
	others := rapid.SampledFrom(append(make([]string, 35), "create", "delete", "tag", "untag", "upgrade"))
	steps := rapid.Custom(func(t *rapid.T) requestStep {
		return requestStep{
			fault:        rapid.SampledFrom(names).Draw(t, "fault"),
			whenArrived:  others.Draw(t, "whenArrived"),
			whenApplied:  others.Draw(t, "whenApplied"),
			whenAnswered: others.Draw(t, "whenAnswered"),
			kill:         rapid.SampledFrom([]string{"", "", "", "", "before", "after"}).Draw(t, "kill"),
		}
	})
	seconds := func(t *rapid.T, label string, choice ...int) time.Duration {
		return time.Duration(rapid.SampledFrom(choice).Draw(t, label)) * time.Second
	}
	return rapid.Custom(func(t *rapid.T) upgradeScenario {
		s := upgradeScenario{
			dedicated: dedicated,
			before: rapid.SampledFrom([]string{
				"source", "source", "source", "source", "untagged", "others", "upgrading", "upgraded",
			}).Draw(t, "before"),
			othersMake: rapid.SampledFrom([]string{"old", "new", "old, workflow's", "new, workflow's"}).
				Draw(t, "othersMake"),
			upgradeFor: seconds(t, "upgradeFor", 1, 20, 120), staleReads: rapid.IntRange(0, 6).Draw(t, "staleReads"),
			staleFor: seconds(t, "staleFor", 0, 8, 25), updateFor: seconds(t, "updateFor", 0, 3),
			temporalAhead: seconds(t, "temporalAhead", 0, -3600, 3600),
			resetAfter:    rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3, 5}).Draw(t, "resetAfter"),
			steps:         rapid.SliceOfN(steps, 0, 12).Draw(t, "steps"),
			waitsBetween:  seconds(t, "waitsBetween", 0, 0, 100), downtime: seconds(t, "downtime", 0, 0, 100),
		}
		if dedicated {
			s.asksTags, s.adopt = rapid.Bool().Draw(t, "asksTags"), rapid.Bool().Draw(t, "adopt")
		}
		return s
	})
}

// Whatever is lost, killed, reset and tried again, whatever reads show, and whatever other people make, delete, tag and
// upgrade under the name meanwhile, an upgrade ends
//
//   - with a cluster of the target kind that is IDLE, as asked, this workflow's, and made by nobody else (UPGRADED, or
//     UNCHANGED where an earlier run or somebody else had upgraded it);
//   - with CLUSTER_CONFLICT, CLUSTER_GONE, CLUSTER_NOT_FOUND or TIMEOUT, and then there was somebody else's cluster, or
//     somebody else has done something to it.
//
// Atlas carries out one upgrade of this run at most, and is not asked for another unless an operator resets the run or
// somebody else upgrades the cluster. No cluster that somebody else made is upgraded or changed. Tags
// that nobody asked for are never changed, unless somebody has taken the ownership tag away.
func TestUpgradeInterleavings(t *testing.T) {
	t.Parallel()
	for _, dedicated := range []bool{false, true} {
		t.Run(fmt.Sprintf("dedicated %t", dedicated), func(t *testing.T) {
			t.Parallel()
			count := map[string]int{}
			for range 10 { // of rapid's hundred each
				rapid.Check(t, func(rt *rapid.T) {
					s := upgradeScenarios(dedicated).Draw(rt, "scenario")
					var outcome string
					var broken []string
					synctest.Test(t, func(t *testing.T) { outcome, broken = playUpgrade(t, s) })
					count[outcome]++
					if len(broken) > 0 {
						rt.Fatalf("ended with %s, but %s", outcome, strings.Join(broken, "; "))
					}
				})
			}
			for _, outcome := range []string{"UPGRADED", "UNCHANGED", contract.ClusterConflict, contract.ClusterGone} {
				if count[outcome] == 0 {
					t.Errorf("no scenario ended with %s: %v", outcome, count)
				}
			}
			t.Log(count)
		})
	}
}

// upgradeWorld is Atlas, a worker and other people while a scenario is played.
type upgradeWorld struct {
	scenario   upgradeScenario
	atlas      *atlassim.Server
	atlasAhead time.Duration // of Atlas's clock before this machine's
	wire       http.RoundTripper
	worker     *activities.Activities // nil where it was killed
	killed     bool                   // the worker of the attempt was killed
	attempts   int                    // in all runs
	started    time.Time              // the first run, by Temporal's clock
	resets     int

	mu           sync.Mutex
	requests     int             // how many were sent
	madeByOthers map[string]bool // ids of clusters
	acts         []string        // what other people did during the run
	broken       []string        // promises
}

const othersAgent = "others"

// where is the place of every cluster, and size what an upgrade to dedicated asks for.
var where, size = request.ProviderSettings, "M10"

func playUpgrade(t *testing.T, s upgradeScenario) (outcome string, broken []string) {
	w := &upgradeWorld{scenario: s, madeByOthers: map[string]bool{}}
	config := atlassim.DefaultConfig()
	config.UpgradeFor, config.StaleIdleReads = atlassim.Duration(s.upgradeFor), s.staleReads
	config.StaleIdleFor, config.UpdateFor = atlassim.Duration(s.staleFor), atlassim.Duration(s.updateFor)
	config.CreateDedicatedFor, config.DeleteDedicatedFor = config.CreateFor, config.DeleteFor
	config.Hook = w.atStage
	config.Now = func() time.Time { return time.Now().Add(w.atlasAhead) }
	atlas, err := atlassim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(atlas.Close)
	w.atlas, w.wire = atlas, atlassimtest.Pipe(t, atlas)
	w.prepare()
	cluster, err := w.run(t)
	outcome = string(cluster.Outcome)
	var failure *temporal.ApplicationError
	if errors.As(err, &failure) {
		outcome = failure.Type()
	} else if err != nil {
		outcome = err.Error()
	}
	return outcome, w.brokenPromises(outcome, cluster)
}

// prepare makes what there is before the run: an hour ago, but for an upgrade that is under way.
func (w *upgradeWorld) prepare() {
	w.atlasAhead = -time.Hour
	own := []atlassim.Tag{{Key: "team", Value: "before"}, {Key: contract.OwnershipTag, Value: workflowID}}
	s := w.scenario
	if strings.HasPrefix(s.before, "upgrad") && (s.asksTags || !s.dedicated) {
		own[0].Value = "orders" // as the earlier run was asked
	}
	switch {
	case s.before == "others":
		own[1].Value = "atlas-cluster-of-others"
	case s.before == "untagged":
		own = own[:1]
	case s.before == "upgraded":
		w.make("new", own)
		w.atlasAhead = 0
		return
	}
	w.make("old", own)
	w.atlasAhead = 0
	if s.before == "upgrading" {
		w.othersUpgrade()
		time.Sleep(10 * time.Second)
	}
}

// make makes a cluster of the old or the new kind, as other people do.
func (w *upgradeWorld) make(kind string, tags []atlassim.Tag) bool {
	switch {
	case w.scenario.dedicated && kind == "new":
		return w.others(http.MethodPost, "/clusters", map[string]any{
			"name": request.Name, "tags": tags, "clusterType": "REPLICASET", "replicationSpecs": specs(),
		})
	case w.scenario.dedicated || kind == "new":
		return w.others(http.MethodPost, "/flexClusters", map[string]any{
			"name": request.Name, "tags": tags, "providerSettings": where,
		})
	case w.current() == nil:
		w.atlas.SeedShared(atlassim.SharedCluster{GroupID: projectID, Name: request.Name, Tags: tags})
		return true
	}
	return false
}

func specs() any {
	return []any{map[string]any{"regionConfigs": []any{map[string]any{
		"providerName": "AWS", "regionName": "US_EAST_1", "priority": 7,
		"electableSpecs": map[string]any{"instanceSize": size, "nodeCount": 3},
	}}}}
}

// others is a request of other people. It reports whether Atlas has taken it.
func (w *upgradeWorld) others(method, path string, body any) bool {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest(method, "http://localhost/api/atlas/v2/groups/"+projectID+path, bytes.NewReader(data))
	r.Header.Set("Accept", "application/vnd.atlas.2024-11-13+json")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", othersAgent)
	answer := httptest.NewRecorder()
	w.atlas.ServeHTTP(answer, r)
	return answer.Code/100 == 2
}

// othersUpgrade is other people upgrading the cluster as this workflow would.
func (w *upgradeWorld) othersUpgrade() bool {
	if w.scenario.dedicated {
		return w.others(http.MethodPost, "/flexClusters:tenantUpgrade", map[string]any{
			"name": request.Name, "clusterType": "REPLICASET", "replicationSpecs": specs(),
		})
	}
	return w.others(http.MethodPost, "/clusters/tenantUpgrade", map[string]any{
		"name": request.Name,
		"providerSettings": map[string]any{
			"providerName": "FLEX", "instanceSizeName": "FLEX", "backingProviderName": "AWS", "regionName": "US_EAST_1",
		},
	})
}

// current is the cluster that has the name; nil for none.
func (w *upgradeWorld) current() *atlassim.Cluster {
	if all := w.atlas.Clusters(); len(all) > 0 {
		return &all[0]
	}
	return nil
}

// act is what other people do.
func (w *upgradeWorld) act(act string) {
	c := w.current()
	done := false
	switch {
	case act == "":
		return
	case act == "create":
		kind, workflow, _ := strings.Cut(w.scenario.othersMake, ", ")
		tags := []atlassim.Tag{{Key: "team", Value: "others"}}
		if workflow != "" {
			tags = append(tags, atlassim.Tag{Key: contract.OwnershipTag, Value: "atlas-cluster-of-others"})
		}
		if workflow == "" && (w.scenario.adopt || !w.scenario.dedicated && kind == "old") {
			return // it is the run's to take: whoever asks for the upgrade of an M0 makes it theirs
		}
		if done = w.make(kind, tags); done {
			w.madeByOthers[w.current().ID] = true
		}
	case c == nil || w.madeByOthers[c.ID]:
		return
	case act == "delete":
		done = c.State != contract.StateDeleting && w.atlas.Delete(projectID, request.Name) == nil
	case act == "upgrade":
		done = w.othersUpgrade()
	default:
		tags := append(slices.Clone(c.Tags), atlassim.Tag{Key: fmt.Sprint("n", len(w.acts)), Value: "others"})
		if act == "untag" {
			tags = []atlassim.Tag{}
		}
		path := "/clusters/" + request.Name
		if c.Kind == atlassim.FLEX {
			path = "/flexClusters/" + request.Name
		}
		done = w.others(http.MethodPatch, path, map[string]any{"tags": tags})
	}
	if done {
		w.acts = append(w.acts, act)
	}
}

// atStage is called by the simulator at each stage of a request.
func (w *upgradeWorld) atStage(stage atlassim.Stage, e atlassim.Entry) {
	if e.UserAgent == othersAgent {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.current(); stage == atlassim.Applied && e.Effect != atlassim.NoEffect && c != nil {
		if w.madeByOthers[c.ID] || w.scenario.before == "others" && !slices.Contains(w.acts, "untag") {
			w.broken = append(w.broken, fmt.Sprintf("%s %s touched the cluster of others", e.Method, e.Path))
		}
		if e.Effect == atlassim.Updated && w.scenario.dedicated && !w.scenario.asksTags &&
			!slices.Contains(w.acts, "untag") && w.scenario.before != "untagged" {
			w.broken = append(w.broken, fmt.Sprintf("%s %s changed tags that nobody asked for", e.Method, e.Path))
		}
	}
	step := w.stepLocked()
	w.act(map[atlassim.Stage]string{
		atlassim.Arrived: step.whenArrived, atlassim.Applied: step.whenApplied, atlassim.Answered: step.whenAnswered,
	}[stage])
}

// stepLocked is the step of the request that was sent last.
func (w *upgradeWorld) stepLocked() requestStep {
	if w.requests < 1 || w.requests > len(w.scenario.steps) {
		return requestStep{}
	}
	return w.scenario.steps[w.requests-1]
}

// RoundTrip is the connection of an attempt to Atlas: it plays the scenario's steps. A worker that was killed sends
// nothing and gets no answer.
func (w *upgradeWorld) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.killed {
		return nil, errKilled
	}
	w.mu.Lock()
	w.requests++
	step := w.stepLocked()
	w.mu.Unlock()
	if step.kill == "before" {
		w.killed = true
		return nil, errKilled
	}
	w.atlas.ClearFaults()
	if f, ok := faults[step.fault]; ok {
		f.Times = 1
		w.atlas.AddFault(f)
	}
	resp, err := w.wire.RoundTrip(r)
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

func (w *upgradeWorld) temporalNow() time.Time { return time.Now().Add(w.scenario.temporalAhead) }

// errReset says that an operator has reset the run.
var errReset = errors.New("the run was reset")

// run asks and waits as the workflow does, again where an operator resets it.
func (w *upgradeWorld) run(t *testing.T) (contract.Cluster, error) {
	w.started = w.temporalNow()
	for {
		cluster, err := w.runOnce(t, w.temporalNow().Add(90*time.Minute))
		if !errors.Is(err, errReset) {
			return cluster, err
		}
		w.resets++
	}
}

func (w *upgradeWorld) runOnce(t *testing.T, deadline time.Time) (contract.Cluster, error) {
	run := activities.RunInfo{WorkflowStarted: w.started, FirstRunID: "run-0"}
	flex, dedicated := w.inputs()
	wait := activities.WaitInput{
		GroupID: projectID, Name: request.Name, Upgraded: true, Deadline: deadline, Shown: true,
		ClusterType: contract.ClusterTypeFlex, Asked: flex.Asked(workflowID),
	}
	ask := func(a *activities.Activities) (any, any) {
		return a.UpgradeClusterToFlex, activities.UpgradeToFlexInput{Request: flex, Run: run}
	}
	if w.scenario.dedicated {
		wait.ClusterType, wait.Asked = contract.ClusterTypeDedicated, dedicated.Asked(workflowID)
		ask = func(a *activities.Activities) (any, any) {
			return a.UpgradeClusterToDedicated, activities.UpgradeToDedicatedInput{Request: dedicated, Run: run}
		}
	}
	asked, err := w.execute(t, ask, deadline)
	if err != nil {
		return contract.Cluster{}, err
	}
	time.Sleep(w.scenario.waitsBetween)
	if asked.Outcome == contract.Unchanged && asked.Ready() && len(wait.Asked.Differences(asked.Cluster)) == 0 {
		return asked.Cluster, nil
	}
	wait.StateName, wait.ShownAt, wait.Before = asked.StateName, asked.ShownAt, wait.Asked.Completed(asked.Cluster)
	waiting := func(a *activities.Activities) (any, any) { return a.WaitUntilAsAsked, wait }
	cluster, err := w.execute(t, waiting, deadline)
	cluster.Outcome = asked.Outcome
	return cluster.Cluster, err
}

func (w *upgradeWorld) inputs() (contract.UpgradeToFlexInput, contract.UpgradeToDedicatedInput) {
	tags := []contract.Tag{{Key: "team", Value: "orders"}}
	dedicated := contract.UpgradeToDedicatedInput{
		GroupID: projectID, Name: request.Name, ProviderSettings: where, Adopt: w.scenario.adopt,
	}
	dedicated.ProviderSettings.InstanceSizeName = size
	if w.scenario.asksTags {
		dedicated.Tags = tags
	}
	return contract.UpgradeToFlexInput{
		GroupID: projectID, Name: request.Name, ProviderSettings: where, Tags: tags,
	}, dedicated
}

// execute makes attempts as Temporal does, until one ends the activity, an operator resets the run, or its time is up.
func (w *upgradeWorld) execute(
	t *testing.T, method func(*activities.Activities) (any, any), deadline time.Time,
) (activities.UpgradingCluster, error) {
	scheduled := w.temporalNow()
	var heartbeat map[string]any
	for number := int32(1); w.temporalNow().Before(deadline); number++ {
		if w.attempts++; w.attempts == w.scenario.resetAfter+1 && w.resets == 0 && w.scenario.resetAfter > 0 {
			return activities.UpgradingCluster{}, errReset
		}
		if w.killed || w.worker == nil {
			w.killed = false
			atlas, err := atlasclient.New(atlasclient.Options{BaseURL: "http://localhost", Transport: w})
			if err != nil {
				t.Fatal(err)
			}
			w.worker = activities.New(atlas, reads.New(atlas), activities.Pace{})
		}
		env := activities.AttemptEnvironment(w.worker, func(i *activity.Info) {
			i.Attempt, i.WorkflowExecution.ID = number, workflowID
			i.WorkflowExecution.RunID = fmt.Sprint("run-", w.resets)
			i.StartedTime, i.ScheduledTime = w.temporalNow(), scheduled
		})
		if heartbeat != nil {
			env.SetHeartbeatDetails(heartbeat)
		}
		env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
			var noted map[string]any
			if !w.killed && details.Get(&noted) == nil {
				heartbeat = noted
			}
		})
		value, err := env.ExecuteActivity(method(w.worker))
		delay := min(time.Second<<min(number-1, 6), 10*time.Second)
		var failure *temporal.ApplicationError
		switch {
		case w.killed: // Temporal hears nothing of the attempt, and notices by its missing heartbeat
			delay += 10*time.Second + w.scenario.downtime
		case err == nil:
			var cluster activities.UpgradingCluster
			err := value.Get(&cluster)
			return cluster, err
		case !errors.As(err, &failure) || failure.NonRetryable():
			return activities.UpgradingCluster{}, err
		case failure.NextRetryDelay() > 0:
			delay = failure.NextRetryDelay()
		}
		time.Sleep(delay)
	}
	return activities.UpgradingCluster{},
		temporal.NewNonRetryableApplicationError("its time is up", contract.Timeout, nil)
}

// brokenPromises names the promises of an upgrade that this end breaks.
func (w *upgradeWorld) brokenPromises(outcome string, cluster contract.Cluster) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	broken, s := w.broken, w.scenario
	require := func(holds bool, format string, args ...any) {
		if !holds {
			broken = append(broken, fmt.Sprintf(format, args...))
		}
	}
	upgrades, again := 0, 0
	for _, e := range w.atlas.Ledger() {
		switch {
		case e.UserAgent == othersAgent:
		case e.Effect == atlassim.Upgraded:
			upgrades++
		case e.SecondUpgrade:
			again++
		}
	}
	require(upgrades <= 1, "%d upgrades took effect", upgrades)
	othersUpgrade := slices.Contains(w.acts, "upgrade") || s.before == "upgrading"
	require(again == 0 || w.resets > 0 || othersUpgrade, "the upgrade was asked for again after it had taken effect")
	flex, dedicated := w.inputs()
	asked := flex.Asked(workflowID)
	if s.dedicated {
		asked = dedicated.Asked(workflowID)
	}
	othersActed := len(w.acts) > 0 || s.before == "others" || s.before == "untagged" && s.dedicated && !s.adopt
	switch outcome {
	case "UPGRADED", "UNCHANGED":
		require(!w.madeByOthers[cluster.ID], "others made %s", cluster.ID)
		require(cluster.Ready(), "it is %s with %v", cluster.StateName, cluster.ConnectionStrings)
		require(len(asked.Differences(cluster)) == 0, "it is not as asked: %v", asked.Differences(cluster))
		require(outcome == "UNCHANGED" || upgrades == 1 || othersUpgrade, "nobody upgraded it")
		require(outcome == "UPGRADED" || s.before == "upgraded" || othersUpgrade, "this run upgraded it")
		if s.dedicated && !s.asksTags && len(w.acts) == 0 {
			require(slices.Contains(cluster.Tags, contract.Tag{Key: "team", Value: "before"}), "its tags are %v",
				cluster.Tags)
		}
	case contract.ClusterConflict:
		require(othersActed, "nobody else did anything")
	case contract.ClusterGone, atlasclient.CodeClusterNotFound:
		require(slices.Contains(w.acts, "delete"), "nobody else deleted it")
	case contract.Timeout:
		require(othersActed, "nobody else did anything")
	default:
		require(false, "that is no end of an upgrade")
	}
	return broken
}
