package activities_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"pgregory.net/rapid"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
)

// changeScenario is one interleaving of an update or a delete with faults, killed workers and other people.
type changeScenario struct {
	// before is what the cluster is before the run: "ours", "as asked", "as asked, without a tag", "in another region",
	// "protected", "without a tag", "another workflow's", "being deleted", or "none".
	before string
	// asks is what an update asks for: "tags", "protection" or "both".
	asks string
	// adopt, hasID and removeProtection are fields of the request.
	adopt, hasID, removeProtection bool
	// updateFor is how long a change of the cluster takes.
	updateFor time.Duration
	// ignoredDeletes are accepted and come to nothing; an accepted one shows after deletingAfter.
	ignoredDeletes int
	deletingAfter  time.Duration
	// shared says that others wait in the project, so that the run reads lists. They lag by listLag.
	shared  bool
	listLag time.Duration
	steps   []requestStep // one for each request, in order; after the last nothing goes wrong
}

// changeScenarios draws scenarios whose cluster is one of those before the run.
func changeScenarios(before ...string) *rapid.Generator[changeScenario] {
	names := []string{"", "", ""}
	for name := range faults {
		names = append(names, name)
	}
	slices.Sort(names)
	acts := []string{"delete", "create", "tag", "untag", "steal", "protect"}
	others := rapid.SampledFrom(append(slices.Repeat([]string{""}, 24), acts...))
	step := rapid.Custom(func(t *rapid.T) requestStep {
		return requestStep{
			fault:        rapid.SampledFrom(names).Draw(t, "fault"),
			whenArrived:  others.Draw(t, "whenArrived"),
			whenApplied:  others.Draw(t, "whenApplied"),
			whenAnswered: others.Draw(t, "whenAnswered"),
			kill:         rapid.SampledFrom([]string{"", "", "", "", "before", "after"}).Draw(t, "kill"),
		}
	})
	durations := func(all ...time.Duration) *rapid.Generator[time.Duration] { return rapid.SampledFrom(all) }
	return rapid.Custom(func(t *rapid.T) changeScenario {
		return changeScenario{
			before:           rapid.SampledFrom(before).Draw(t, "before"),
			asks:             rapid.SampledFrom([]string{"tags", "protection", "both"}).Draw(t, "asks"),
			adopt:            rapid.Bool().Draw(t, "adopt"),
			hasID:            rapid.Bool().Draw(t, "hasID"),
			removeProtection: rapid.Bool().Draw(t, "removeProtection"),
			updateFor:        durations(0, 0, time.Second, 20*time.Second).Draw(t, "updateFor"),
			ignoredDeletes:   rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "ignoredDeletes"),
			deletingAfter:    durations(0, 0, 3*time.Second, 20*time.Second).Draw(t, "deletingAfter"),
			shared:           rapid.Bool().Draw(t, "shared"),
			listLag:          durations(0, 0, time.Second, 8*time.Second).Draw(t, "listLag"),
			steps:            rapid.SliceOfN(step, 0, 12).Draw(t, "steps"),
		}
	})
}

// checkScenarios plays 1,000 scenarios, and requires that each of the outcomes comes about.
func checkScenarios(
	t *testing.T, scenarios *rapid.Generator[changeScenario],
	play func(*testing.T, changeScenario) (outcome string, broken []string), outcomes ...string,
) {
	count := map[string]int{}
	for range 10 { // of rapid's hundred each
		rapid.Check(t, func(rt *rapid.T) {
			s := scenarios.Draw(rt, "scenario")
			var outcome string
			var broken []string
			synctest.Test(t, func(t *testing.T) { outcome, broken = play(t, s) })
			count[outcome]++
			if len(broken) > 0 {
				rt.Fatalf("ended with %s, but %s", outcome, strings.Join(broken, "; "))
			}
		})
	}
	for _, outcome := range outcomes {
		if count[outcome] == 0 {
			t.Errorf("no scenario ended with %s: %v", outcome, count)
		}
	}
	t.Log(count)
}

// changeWorld is Atlas, a worker and other people while a change is played.
type changeWorld struct {
	t        *testing.T
	scenario changeScenario
	atlas    *atlassim.Server
	requests *world // plays the steps; its lock guards what follows
	wire     http.RoundTripper
	asked    contract.Asked // of an update
	started  time.Time

	first    string           // id of the cluster before the run, "" for none
	found    string           // id that the run has on record, "" for none
	seen     atlassim.Cluster // by the last read of the run
	reached  atlassim.Cluster // by the request under way, before it took effect
	everOurs map[string]bool  // ids of clusters that carried our tag
	patches  int              // that took effect
	deletes  int              // that took effect
	creates  int              // that took effect
	goneOurs int              // clusters that carried our tag and that other people deleted
	tried    int              // deletes that reached Atlas
	// mayHaveChanged says that a change was sent that Atlas did not refuse.
	mayHaveChanged bool
	wasKilled      bool            // a worker was killed during the run
	othersDid      map[string]bool // acts of other people
	violations     []string
}

const ownerOfOthers = "atlas-cluster-of-others"

func newChangeWorld(t *testing.T, s changeScenario) *changeWorld {
	w := &changeWorld{
		t: t, scenario: s, everOurs: map[string]bool{}, othersDid: map[string]bool{},
		requests: &world{scenario: scenario{steps: s.steps}},
	}
	config := atlassim.DefaultConfig()
	config.CreateFor, config.UpdateFor = 0, atlassim.Duration(s.updateFor)
	config.IgnoredDeletes, config.DeletingAfter = s.ignoredDeletes, atlassim.Duration(s.deletingAfter)
	config.Hook = w.atStage
	atlas, err := atlassim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(atlas.Close)
	w.atlas, w.requests.atlas = atlas, atlas
	w.wire = &laggingLists{lag: s.listLag, wire: atlassimtest.Pipe(t, atlas)}
	w.makeFirst()
	w.started = time.Now()
	return w
}

// makeFirst makes the cluster that is there before the run.
func (w *changeWorld) makeFirst() {
	if w.scenario.before == "none" {
		return
	}
	c := clusterOfOthers("same")
	owner := atlassim.Tag{Key: contract.OwnershipTag, Value: workflowID}
	switch w.scenario.before {
	case "without a tag":
	case "another workflow's":
		c = clusterOfOthers("workflow")
	case "as asked":
		c.Tags = []atlassim.Tag{{Key: "team", Value: "billing"}, owner}
		c.TerminationProtectionEnabled = true
	case "as asked, without a tag":
		c.Tags = []atlassim.Tag{{Key: "team", Value: "billing"}}
		c.TerminationProtectionEnabled = true
	case "in another region":
		c.ProviderSettings.RegionName = "EU_WEST_1"
		c.Tags = append(c.Tags, owner)
	default:
		c.Tags = append(c.Tags, owner)
		c.TerminationProtectionEnabled = w.scenario.before == "protected"
	}
	if err := w.atlas.CreateFlex(projectID, c); err != nil {
		w.t.Fatal(err)
	}
	w.first = w.existing().ID
	w.everOurs[w.first] = ownerOf(w.existing()) == workflowID
	time.Sleep(time.Minute)
	if w.scenario.before == "being deleted" {
		w.act("delete")
	}
}

// existing is the cluster that has the name.
func (w *changeWorld) existing() atlassim.Cluster {
	if all := w.atlas.Clusters(); len(all) > 0 {
		return all[0]
	}
	return atlassim.Cluster{}
}

func ownerOf(c atlassim.Cluster) string {
	for _, t := range c.Tags {
		if t.Key == contract.OwnershipTag {
			return t.Value
		}
	}
	return ""
}

// act is what other people do to the cluster that has the name.
func (w *changeWorld) act(act string) {
	c := w.existing()
	isThere := c.ID != "" && c.State != contract.StateDeleting
	withoutOwner := slices.DeleteFunc(slices.Clone(c.Tags), func(t atlassim.Tag) bool {
		return t.Key == contract.OwnershipTag
	})
	var err error
	switch {
	case act == "create" && c.ID == "":
		err = w.atlas.CreateFlex(projectID, clusterOfOthers("same"))
	case !isThere:
		return
	case act == "delete":
		if w.everOurs[c.ID] {
			w.goneOurs++
		}
		err = w.atlas.Delete(projectID, request.Name)
	case act == "tag":
		tags := append(slices.Clone(c.Tags), atlassim.Tag{Key: fmt.Sprint("by-others-", len(c.Tags)), Value: "x"})
		err = w.atlas.Update(projectID, request.Name, tags, nil)
	case act == "untag":
		err = w.atlas.Update(projectID, request.Name, withoutOwner, nil)
	case act == "steal":
		tags := append(withoutOwner, atlassim.Tag{Key: contract.OwnershipTag, Value: ownerOfOthers})
		err = w.atlas.Update(projectID, request.Name, tags, nil)
	case act == "protect":
		err = w.atlas.Update(projectID, request.Name, nil, new(true))
	default:
		return
	}
	if err != nil {
		w.t.Fatal(act, err)
	}
	w.othersDid[act] = true
}

// atStage is called by the simulator at each stage of a request.
func (w *changeWorld) atStage(stage atlassim.Stage, e atlassim.Entry) {
	w.requests.mu.Lock()
	defer w.requests.mu.Unlock()
	step := w.requests.stepLocked()
	w.noteOwner()
	defer w.noteOwner()
	switch stage {
	case atlassim.Arrived:
		w.act(step.whenArrived)
		w.reached = w.existing()
		if e.Method == http.MethodDelete {
			w.tried++
		}
	case atlassim.Applied:
		switch {
		case e.Method == http.MethodGet:
			w.seen = w.existing()
		case e.Effect == atlassim.Updated:
			w.patches++
			w.checkPatch(w.reached, w.existing())
		case e.Effect == atlassim.Deleted:
			w.deletes++
			w.checkDelete(w.reached)
		case e.Effect == atlassim.Created:
			w.creates++
			w.everOurs[w.existing().ID] = true
		}
		w.act(step.whenApplied)
	case atlassim.Answered:
		refused := e.Status/100 == 4 && e.Status != http.StatusRequestTimeout && e.Fault != atlassim.FaultTruncate
		w.mayHaveChanged = w.mayHaveChanged || e.Method == http.MethodPatch && !refused
		w.act(step.whenAnswered)
	}
}

// noteOwner notes whether the cluster that has the name carries our tag.
func (w *changeWorld) noteOwner() {
	c := w.existing()
	w.everOurs[c.ID] = w.everOurs[c.ID] || ownerOf(c) == workflowID
}

func (w *changeWorld) require(holds bool, format string, args ...any) {
	if !holds {
		w.violations = append(w.violations, fmt.Sprintf(format, args...))
	}
}

// checkMine checks that a request reached a cluster that the run may change, by what it saw last. What other people do
// to the tags between that and the request, Atlas gives no way to notice.
func (w *changeWorld) checkMine(c atlassim.Cluster) {
	w.require(w.found == "" || c.ID == w.found, "a successor was reached")
	if w.scenario.listLag > 0 {
		return
	}
	w.require(c.ID == w.seen.ID, "a cluster was reached that the run has not seen")
	owner := ownerOf(w.seen)
	w.require(owner == workflowID || owner == "" && (w.scenario.adopt || w.everOurs[c.ID]), "it was %q's", owner)
}

func (w *changeWorld) checkPatch(before, after atlassim.Cluster) {
	w.checkMine(before)
	adopted := ownerOf(before) != workflowID && ownerOf(after) == workflowID
	w.require(ownerOf(before) == ownerOf(after) || ownerOf(after) == workflowID, "the ownership tag was dropped")
	if w.asked.TerminationProtectionEnabled == nil {
		w.require(before.TerminationProtectionEnabled == after.TerminationProtectionEnabled, "protection was changed")
	}
	if w.asked.Tags == nil && !adopted {
		w.require(slices.Equal(before.Tags, after.Tags), "tags were changed that nobody asked for: %v, before %v",
			after.Tags, before.Tags)
	}
	if w.asked.Tags == nil {
		for _, tag := range w.seen.Tags {
			kept := slices.Contains(after.Tags, tag) || tag.Key == contract.OwnershipTag
			w.require(kept, "the tag %v was lost", tag)
		}
	}
}

func (w *changeWorld) checkDelete(c atlassim.Cluster) {
	w.checkMine(c)
	w.require(w.found != "", "the id was not on record")
	w.require(!c.TerminationProtectionEnabled, "it was protected")
}

// laggingLists is a connection to Atlas whose lists can be older than its other answers.
type laggingLists struct {
	lag  time.Duration
	wire http.RoundTripper

	at   time.Time
	last *http.Response
	body []byte
}

func (l *laggingLists) RoundTrip(r *http.Request) (*http.Response, error) {
	isList := r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/flexClusters")
	if isList && l.last != nil && time.Since(l.at) < l.lag {
		old := *l.last
		old.Body = io.NopCloser(bytes.NewReader(l.body))
		return &old, nil
	}
	resp, err := l.wire.RoundTrip(r)
	if err != nil || !isList || resp.StatusCode != http.StatusOK || l.lag == 0 {
		return resp, err
	}
	body, cut := io.ReadAll(resp.Body)
	resp.Body.Close()
	if cut != nil {
		return nil, cut
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	l.at, l.last, l.body = time.Now(), resp, body
	return resp, nil
}

// runActivity makes attempts at an activity as Temporal does, until one ends it. method picks the activity of a worker.
func (w *changeWorld) runActivity(method func(*activities.Activities) any, input, result any) error {
	scheduled := time.Now()
	time.Sleep(time.Millisecond)      // or a list would begin at the very moment at which its wait was scheduled
	var noted converter.EncodedValues // what the last heartbeat noted
	for number := int32(1); number < 400; number++ {
		w.requests.killed = false
		env, a := w.newAttempt(number, scheduled)
		if noted != nil {
			setHeartbeat(env, noted)
		}
		env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
			w.requests.mu.Lock()
			defer w.requests.mu.Unlock()
			if !w.requests.killed && details.HasValues() {
				noted = details
			}
		})
		value, err := env.ExecuteActivity(method(a), input)
		synctest.Wait()
		delay := min(time.Second<<min(number-1, 6), 10*time.Second)
		var failure *temporal.ApplicationError
		switch {
		case w.requests.killed:
			w.wasKilled = true
			delay += 10 * time.Second
		case err == nil:
			return value.Get(result)
		case !errors.As(err, &failure) || failure.NonRetryable():
			return err
		case failure.NextRetryDelay() > 0:
			delay = failure.NextRetryDelay()
		}
		time.Sleep(delay)
	}
	return errors.New("it does not end")
}

// setHeartbeat gives an attempt what the one before has noted, whatever that is.
func setHeartbeat(env *testsuite.TestActivityEnvironment, noted converter.EncodedValues) {
	var details map[string]any
	if noted.Get(&details) == nil {
		env.SetHeartbeatDetails(details)
	}
}

// newAttempt is an attempt in a worker of its own.
func (w *changeWorld) newAttempt(
	number int32, scheduled time.Time,
) (*testsuite.TestActivityEnvironment, *activities.Activities) {
	atlas, err := atlasclient.New(
		atlasclient.Options{BaseURL: "http://localhost", Transport: attemptTransport{w.requests, w.wire}})
	if err != nil {
		w.t.Fatal(err)
	}
	shared := reads.New(atlas)
	if w.scenario.shared {
		shared.Enter(projectID, "another", reads.Flex, scheduled)
	}
	a := activities.New(atlas, shared, activities.Pace{})
	env := activities.AttemptEnvironment(a, func(i *activity.Info) {
		i.Attempt, i.WorkflowExecution.ID, i.WorkflowExecution.RunID = number, workflowID, "run"
		i.StartedTime, i.ScheduledTime = time.Now(), scheduled
	})
	return env, a
}

// end is how a run ended: with an outcome, or with a type of failure.
func end(cluster contract.Cluster, err error) string {
	var failure *temporal.ApplicationError
	switch {
	case errors.As(err, &failure):
		return failure.Type()
	case err != nil:
		return err.Error()
	}
	return string(cluster.Outcome)
}

// Whatever is lost, killed and tried again, and whatever other people do to the cluster meanwhile, an update ends
//
//   - with the cluster IDLE and as asked: UPDATED where the run may have changed it, UNCHANGED where it has not;
//   - with CLUSTER_CONFLICT where it is not this workflow's, with CLUSTER_GONE or CLUSTER_NOT_FOUND where it is gone.
//
// No change reaches a cluster that the run did not see as its own, nor a successor of it. None drops the ownership tag,
// or changes what was not asked for.
func TestUpdateInterleavings(t *testing.T) {
	scenarios := changeScenarios("ours", "ours", "as asked", "without a tag", "another workflow's", "being deleted",
		"none")
	checkScenarios(t, scenarios, playUpdate,
		"UPDATED", "UNCHANGED", contract.ClusterConflict, contract.ClusterGone, "CLUSTER_NOT_FOUND")
}

func playUpdate(t *testing.T, s changeScenario) (outcome string, broken []string) {
	w := newChangeWorld(t, s)
	in := contract.UpdateFlexClusterInput{GroupID: projectID, Name: request.Name, Adopt: s.adopt}
	if s.asks != "protection" {
		in.Tags = []contract.Tag{{Key: "team", Value: "billing"}}
	}
	if s.asks != "tags" {
		in.TerminationProtectionEnabled = new(true)
	}
	w.asked = in.Asked(workflowID)
	cluster, err := w.update(in)
	outcome = end(cluster, err)
	w.checkEndOfUpdate(outcome, cluster)
	return outcome, w.violations
}

// update does what the workflow does.
func (w *changeWorld) update(in contract.UpdateFlexClusterInput) (contract.Cluster, error) {
	var cluster, idle contract.Cluster
	err := w.runActivity(func(a *activities.Activities) any { return a.UpdateFlexCluster },
		activities.UpdateInput{Request: in, Run: activities.RunInfo{WorkflowStarted: w.started}}, &cluster)
	if err != nil || cluster.Ready() && len(w.asked.Differences(cluster)) == 0 {
		return cluster, err
	}
	w.found = cluster.ID
	err = w.runActivity(func(a *activities.Activities) any { return a.WaitUntilAsAsked }, activities.WaitInput{
		GroupID: projectID, Name: in.Name, ID: cluster.ID, ClusterType: contract.ClusterTypeFlex,
		StateName: cluster.StateName, Shown: true, Deadline: w.started.Add(24 * time.Hour), Asked: w.asked,
	}, &idle)
	idle.Outcome = cluster.Outcome
	return idle, err
}

func (w *changeWorld) checkEndOfUpdate(outcome string, cluster contract.Cluster) {
	w.require(w.creates == 0, "a cluster was created")
	before, others := w.scenario.before, w.othersDid
	notOurs := before == "without a tag" && !w.scenario.adopt || before == "another workflow's"
	switch outcome {
	case "UPDATED", "UNCHANGED":
		w.require(cluster.Ready() && len(w.asked.Differences(cluster)) == 0, "it is not as asked: %v", cluster)
		w.require(w.existing().ID == cluster.ID || others["delete"], "it is not there")
		w.require(w.everOurs[cluster.ID], "it was never ours")
		if outcome == "UNCHANGED" {
			w.require(w.patches == 0, "it was changed")
		} else {
			w.require(w.mayHaveChanged || w.wasKilled, "it was not changed")
		}
	case contract.ClusterConflict:
		w.require(notOurs || others["untag"] || others["steal"] || others["create"], "nobody else was there")
	case contract.ClusterGone:
		w.require(before == "being deleted" || others["delete"], "nobody else deleted it")
	case "CLUSTER_NOT_FOUND":
		w.require(before == "none" || others["delete"] || before == "being deleted", "nobody else deleted it")
	default:
		w.require(false, "that is no end of an update")
	}
}

// Whatever is lost, killed and tried again, and whatever other people do to the cluster meanwhile, a provision that may
// update or adopt ends with the cluster IDLE and as asked: CREATED, UPDATED or UNCHANGED; or with CLUSTER_CONFLICT or
// CLUSTER_GONE. It changes nothing that is not its own, and takes over only what is as asked.
func TestProvisionInterleavings(t *testing.T) {
	scenarios := changeScenarios("ours", "ours", "as asked", "as asked, without a tag", "without a tag",
		"in another region", "another workflow's", "being deleted", "none")
	checkScenarios(t, scenarios, playProvision,
		"CREATED", "UPDATED", "UNCHANGED", contract.ClusterConflict, contract.ClusterGone)
}

func playProvision(t *testing.T, s changeScenario) (outcome string, broken []string) {
	w := newChangeWorld(t, s)
	in := request
	in.Adopt, in.IfDifferent = s.adopt, contract.UpdateIfDifferent
	in.Tags, in.TerminationProtectionEnabled = []contract.Tag{{Key: "team", Value: "billing"}}, true
	w.asked = in.Asked(workflowID)
	cluster, err := w.provision(in)
	outcome = end(cluster, err)
	w.checkEndOfProvision(outcome, cluster)
	return outcome, w.violations
}

// provision does what the workflow does.
func (w *changeWorld) provision(in contract.ProvisionFlexClusterInput) (contract.Cluster, error) {
	var cluster, idle contract.Cluster
	err := w.runActivity(func(a *activities.Activities) any { return a.CreateFlexCluster },
		activities.CreateInput{Request: in, Run: activities.RunInfo{WorkflowStarted: w.started}}, &cluster)
	if err != nil || cluster.Ready() && len(w.asked.Differences(cluster)) == 0 {
		return cluster, err
	}
	wait, asked := func(a *activities.Activities) any { return a.WaitUntilIdle }, contract.Asked{}
	if cluster.Outcome == contract.Updated {
		wait, asked = func(a *activities.Activities) any { return a.WaitUntilAsAsked }, w.asked
	}
	w.found = cluster.ID
	err = w.runActivity(wait, activities.WaitInput{
		GroupID: projectID, Name: in.Name, ID: cluster.ID, ClusterType: contract.ClusterTypeFlex,
		StateName: cluster.StateName, Shown: cluster.Outcome != contract.Created,
		Deadline: w.started.Add(24 * time.Hour), Asked: asked,
	}, &idle)
	idle.Outcome = cluster.Outcome
	return idle, err
}

func (w *changeWorld) checkEndOfProvision(outcome string, cluster contract.Cluster) {
	before, others := w.scenario.before, w.othersDid
	w.require(w.creates <= 1+w.goneOurs, "%d clusters were created, and others deleted %d", w.creates, w.goneOurs)
	switch outcome {
	case "CREATED", "UPDATED", "UNCHANGED":
		w.require(w.everOurs[cluster.ID], "it was never ours")
		w.require(w.existing().ID == cluster.ID || others["delete"], "it is not there")
		w.require(outcome != "CREATED" || w.creates > 0, "it was not created")
		w.require(outcome != "UPDATED" || w.mayHaveChanged || w.wasKilled, "it was not changed")
		w.require(outcome != "UNCHANGED" || w.patches == 0, "it was changed")
		changedByOthers := others["tag"] || others["untag"] || others["steal"] || others["protect"]
		w.require(cluster.Ready(), "it is not IDLE")
		w.require(len(w.asked.Differences(cluster)) == 0 || changedByOthers, "it is not as asked: %v", cluster)
	case contract.ClusterConflict:
		adopted := before == "as asked, without a tag" && w.scenario.adopt
		isOurs := before == "ours" || before == "as asked" || before == "none" || before == "being deleted"
		w.require(!isOurs && !adopted || len(others) > 0, "nobody else was there")
	case contract.ClusterGone:
		w.require(others["delete"], "nobody else deleted it")
	default:
		w.require(false, "that is no end of a provision")
	}
}

// Whatever is lost, killed, ignored and tried again, and whatever other people do to the name meanwhile, a delete ends
//
//   - when the cluster that it found is gone: DELETED, or UNCHANGED where the run has not deleted it;
//   - with CLUSTER_CONFLICT where the cluster is not this workflow's, with CLUSTER_PROTECTED where it is protected and
//     that may not be removed.
//
// No delete reaches another cluster than the one whose id is on record, and none that the run did not see as its own.
func TestDeleteInterleavings(t *testing.T) {
	scenarios := changeScenarios("ours", "ours", "ours", "protected", "without a tag", "another workflow's",
		"being deleted", "none")
	checkScenarios(t, scenarios, playDelete,
		"DELETED", "UNCHANGED", contract.ClusterConflict, contract.ClusterProtected)
}

func playDelete(t *testing.T, s changeScenario) (outcome string, broken []string) {
	w := newChangeWorld(t, s)
	w.asked = contract.Asked{TerminationProtectionEnabled: new(false)}
	in := contract.DeleteClusterInput{
		GroupID: projectID, Name: request.Name, Adopt: s.adopt, RemoveTerminationProtection: s.removeProtection,
	}
	if s.hasID {
		in.ID = cmp.Or(w.first, "0123456789abcdef01234567")
	}
	cluster, err := w.delete(in)
	outcome = end(cluster, err)
	w.checkEndOfDelete(outcome, cluster)
	return outcome, w.violations
}

// delete does what the workflow does.
func (w *changeWorld) delete(in contract.DeleteClusterInput) (contract.Cluster, error) {
	var found activities.FoundCluster
	err := w.runActivity(func(a *activities.Activities) any { return a.FindCluster },
		activities.FindInput{Request: in, Run: activities.RunInfo{WorkflowStarted: w.started}}, &found)
	if err != nil || found.Cluster.StateName == contract.StateDeleted {
		return found.Cluster, err
	}
	w.found = found.Cluster.ID
	w.require(in.ID == "" || in.ID == w.found, "it found another cluster than was asked for")
	var gone contract.Cluster
	err = w.runActivity(func(a *activities.Activities) any { return a.DeleteCluster },
		activities.DeleteInput{Request: in, Found: found, Deadline: w.started.Add(24 * time.Hour)}, &gone)
	found.Cluster.Outcome = cmp.Or(gone.Outcome, found.Cluster.Outcome)
	return found.Cluster, err
}

func (w *changeWorld) checkEndOfDelete(outcome string, cluster contract.Cluster) {
	w.require(w.creates == 0, "a cluster was created")
	s, others := w.scenario, w.othersDid
	notOurs := s.before == "without a tag" && !s.adopt || s.before == "another workflow's"
	w.require(w.patches == 0 || s.removeProtection, "the protection was removed")
	switch outcome {
	case "DELETED", "UNCHANGED":
		w.require(w.existing().ID != cluster.ID || cluster.ID == "", "it is still there")
		w.require(cluster.ID == w.first || s.before == "none" || others["delete"], "another cluster was meant")
		w.require(w.deletes > 0 || others["delete"] || s.before == "none", "nobody deleted it")
		if outcome == "UNCHANGED" {
			w.require(w.deletes == 0, "it was deleted")
		}
	case contract.ClusterConflict:
		w.require(notOurs || others["untag"] || others["steal"] || others["create"], "nobody else was there")
		w.require(w.deletes == 0 || w.existing().State != contract.StateDeleting, "it was deleted all the same")
	case contract.ClusterProtected:
		w.require(!s.removeProtection && (s.before == "protected" || others["protect"]), "it is not protected")
	default:
		w.require(false, "that is no end of a delete")
	}
}
