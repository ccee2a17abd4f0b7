package worker

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// scrape is the answer of /metrics, by name of the metric.
type scrape map[string]*dto.MetricFamily

func parse(t *testing.T, text string) scrape {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	return families
}

// series returns the values of a metric (the counts of a histogram) by its label values, joined with "|".
func (s scrape) series(t *testing.T, name string, labels ...string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, m := range s[name].GetMetric() {
		var values []string
		for _, label := range labels {
			i := slices.IndexFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == label })
			require.NotEqual(t, -1, i, "%s has no label %s: %v", name, label, m)
			values = append(values, m.GetLabel()[i].GetValue())
		}
		key := strings.Join(values, "|")
		require.NotContains(t, out, key, "%s has more labels than %v: %v", name, labels, m)
		out[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return out
}

// Every request and every run is counted once, and no label holds the name of a cluster.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{RateLimit: 100, RefillPerMinute: 1, Faults: []atlassim.Fault{
		{Kind: atlassim.FaultReset, Method: "POST", Times: 1},
		{Kind: atlassim.FaultStatus, Status: 503, Method: "POST", Times: 1},
	}})
	p := s.run()
	now := func() scrape {
		status, body := p.get("/metrics")
		require.Equal(t, 200, status)
		return parse(t, body)
	}
	for _, name := range []string{"t-one", "t-two"} {
		s.name = name
		_, err := s.client.Result(s.ctx(), s.start().WorkflowID, "")
		require.NoError(t, err)
	}
	s.name = "t-theirs"
	require.NoError(t,
		s.sim.CreateFlex(group,
			atlassim.FlexRequest{Name: s.name,
				ProviderSettings: atlassim.FlexProvider{BackingProviderName: "AWS", RegionName: "US_EAST_1"}}))
	var failure *provisioner.Failure
	_, err := s.client.Result(s.ctx(), s.start().WorkflowID, "")
	require.ErrorAs(t, err, &failure)
	require.Equal(t, contract.ClusterConflict, failure.Type)

	requests := map[string]float64{}
	for _, e := range s.sim.Ledger() {
		endpoint := "/groups/{groupId}/flexClusters"
		if !strings.HasSuffix(e.Path, "/flexClusters") {
			endpoint += "/{name}"
		}
		status := map[int]string{0: "none", 200: "200", 201: "201", 400: "400", 503: "503"}[e.Status]
		requests[e.Method+" "+endpoint+"|"+status]++
	}
	const create, get = "POST /groups/{groupId}/flexClusters", "GET /groups/{groupId}/flexClusters/{name}"
	require.Equal(t,
		map[string]float64{create + "|none": 1, create + "|503": 1, create + "|201": 2, create + "|400": 1,
			get + "|200": requests[get+"|200"]}, requests)
	got := now()
	require.Equal(t, requests, got.series(t, "atlas_requests_total", "endpoint", "status"))
	require.Equal(t, map[string]float64{create: 5, get: requests[get+"|200"]},
		got.series(t, "atlas_request_duration_seconds", "endpoint"))
	bucket := group + "|flexClusters"
	require.Equal(t, map[string]float64{bucket: 100}, got.series(t, "atlas_rate_limit", "group_id", "resource"))
	remaining := got.series(t, "atlas_rate_limit_remaining", "group_id", "resource")[bucket]
	require.GreaterOrEqual(t, remaining, 100-float64(len(s.sim.Ledger())))
	require.Less(t, remaining, 100.0)

	require.Equal(t, map[string]float64{"CREATED|IDLE": 2, "CLUSTER_CONFLICT|": 1}, got.clusters(t))
	require.Equal(t, map[string]float64{contract.ProvisionFlexCluster: 2},
		got.series(t, "atlas_run_duration_seconds", "workflow_type"))
	require.Empty(t, got["atlas_clusters_waiting"].GetMetric())

	// A cluster that is waited for is counted by its last state, until the wait ends.
	s.name = "t-waits"
	s.sim.AddFault(atlassim.Fault{Kind: atlassim.FaultStatus, Status: 503, Method: "GET"})
	run := s.start()
	states := func(want map[string]float64) {
		t.Helper()
		require.Eventually(t,
			func() bool { return maps.Equal(want, now().series(t, "atlas_clusters_waiting", "state")) },
			testenv.Patience, 20*time.Millisecond)
	}
	states(map[string]float64{"CREATING": 1})
	require.NoError(t, s.sim.SetState(group, s.name, "REPAIRING"))
	s.sim.ClearFaults()
	states(map[string]float64{"REPAIRING": 1})
	all := now()
	require.NoError(t, s.client.Cancel(s.ctx(), run.WorkflowID, ""))
	_, err = s.client.Result(s.ctx(), run.WorkflowID, "")
	require.Error(t, err)
	states(map[string]float64{})
	require.Equal(t, map[string]float64{"CREATED|IDLE": 2, "CLUSTER_CONFLICT|": 1, "CANCELED|": 1}, now().clusters(t))

	// Failing requests to Temporal and failing workflow tasks, which alerts are made of.
	s.name = "t-terminated"
	s.sim.AddFault(atlassim.Fault{Kind: atlassim.FaultStatus, Status: 503, Method: "GET"})
	terminated := s.start().WorkflowID
	states(map[string]float64{"CREATING": 1})
	require.NoError(t, s.on.Client().TerminateWorkflow(s.ctx(), terminated, "", ""))
	unknown, err := s.on.Client().ExecuteWorkflow(s.ctx(), client.StartWorkflowOptions{TaskQueue: s.queue}, "Unknown")
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.on.Client().TerminateWorkflow(context.Background(), unknown.GetID(), "", "") })
	for _, name := range []string{"temporal_request_failure_total", "temporal_workflow_task_execution_failed_total"} {
		require.Eventually(t, func() bool { return now()[name] != nil }, testenv.Patience, 50*time.Millisecond, name)
	}
	states(map[string]float64{})
	maps.Copy(all, now())
	all.check(t)
}

// A check of the worker is about no cluster, so it does not count as a run.
func TestChecksAreNotCounted(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	p := s.run()
	check, err := s.on.Client().ExecuteWorkflow(s.ctx(), client.StartWorkflowOptions{TaskQueue: s.queue},
		contract.CheckWorker, contract.CheckWorkerInput{GroupID: group})
	require.NoError(t, err)
	require.NoError(t, check.Get(s.ctx(), nil))
	_, err = s.client.Result(s.ctx(), s.start().WorkflowID, "")
	require.NoError(t, err)
	status, body := p.get("/metrics")
	require.Equal(t, 200, status)
	require.Equal(t, map[string]float64{"ProvisionFlexCluster|CREATED": 1},
		parse(t, body).series(t, "atlas_clusters_total", "workflow_type", "outcome"))
}

// Runs of every kind are counted by their outcome and the last state of their cluster, and those that changed something
// are timed.
func TestMetricsOfALife(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{DeleteFor: atlassim.Duration(time.Second)})
	p := s.run()
	s.name = "t-life"
	for _, request := range []contract.Request{
		s.request(),
		contract.UpdateFlexClusterInput{GroupID: group, Name: s.name, TerminationProtectionEnabled: new(true)},
		contract.UpdateFlexClusterInput{GroupID: group, Name: s.name, TerminationProtectionEnabled: new(true)},
		contract.DeleteClusterInput{GroupID: group, Name: s.name},
		contract.DeleteClusterInput{GroupID: group, Name: s.name, RemoveTerminationProtection: true},
		contract.UpdateFlexClusterInput{GroupID: group, Name: s.name, Tags: []contract.Tag{}},
	} {
		_, err := s.client.Execute(s.ctx(), request)
		var failure *provisioner.Failure
		if err != nil {
			require.ErrorAs(t, err, &failure)
		}
	}
	status, body := p.get("/metrics")
	require.Equal(t, 200, status)
	got := parse(t, body)
	require.Equal(t, map[string]float64{
		"CREATED|IDLE": 1, "UPDATED|IDLE": 1, "UNCHANGED|IDLE": 1, "CLUSTER_PROTECTED|IDLE": 1, "DELETED|DELETED": 1,
		"CLUSTER_NOT_FOUND|": 1,
	}, got.clusters(t))
	require.Equal(t, map[string]float64{
		contract.ProvisionFlexCluster: 1, contract.UpdateFlexCluster: 1, contract.DeleteCluster: 1,
	}, got.series(t, "atlas_run_duration_seconds", "workflow_type"))
}

func (s scrape) clusters(t *testing.T) map[string]float64 {
	return s.series(t, "atlas_clusters_total", "outcome", "state")
}

// check compares the names and labels of a scrape with testdata/metrics.txt.
func (s scrape) check(t *testing.T) {
	t.Helper()
	// Dashboards and alerts may use what testdata/metrics.txt lists; tools/checks/monitoring checks ours against it.
	file, err := os.ReadFile("testdata/metrics.txt")
	require.NoError(t, err)
	known := map[string]bool{}
	for line := range strings.Lines(string(file)) {
		name, labels, _ := strings.Cut(strings.TrimSpace(line), " ")
		known[name] = true
		require.NotNil(t, s[name], "%s is not there", name)
		for _, m := range s[name].GetMetric() {
			var has []string
			for _, l := range m.GetLabel() {
				has = append(has, l.GetName())
			}
			slices.Sort(has)
			require.Equal(t, labels, strings.Join(has, " "), name)
		}
	}
	for name, family := range s {
		if strings.HasPrefix(name, "atlas_") {
			require.True(t, known[name], "%s is not in testdata/metrics.txt", name)
		}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() != "task_queue" { // the tests' own holds the name of the cluster
					require.NotContains(t, l.GetValue(), "t-", "%s{%s} names a cluster", name, l.GetName())
				}
			}
		}
	}
	var own []*dto.MetricFamily
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if strings.HasPrefix(name, "atlas_") {
			own = append(own, s[name])
		}
	}
	problems, err := promlint.NewWithMetricFamilies(own).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}
