package doctor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

const setByNTP = "set the clocks by NTP: times in logs and results cannot be compared otherwise"

func TestClocks(t *testing.T) {
	t.Parallel()
	far, near := 61.2, -2.0
	for _, test := range []struct {
		name   string
		run    checkRun
		report *contract.WorkerReport
		want   Finding
	}{
		{"this machine alone", checkRun{ahead: -3 * time.Second}, nil,
			Finding{checkClock, OK, "the clocks of this machine and Temporal agree", ""}},
		{"all", checkRun{}, &contract.WorkerReport{Atlas: contract.AtlasReport{ClockAhead: &near}},
			Finding{checkClock, OK, "the clocks of this machine, Temporal, the worker and Atlas agree", ""}},
		{"Atlas is not known", checkRun{}, &contract.WorkerReport{ClockAheadOfTemporal: 4},
			Finding{checkClock, OK, "the clocks of this machine, Temporal and the worker agree", ""}},
		{"the worker is off", checkRun{},
			&contract.WorkerReport{ClockAheadOfTemporal: 60.4, Atlas: contract.AtlasReport{ClockAhead: &far}},
			Finding{checkClock, Warning,
				"the worker's clock is 1m0s ahead of Temporal's; the worker's clock is 1m1s ahead of Atlas's",
				setByNTP}},
		{"Temporal is off", checkRun{ahead: 30 * time.Second},
			&contract.WorkerReport{ClockAheadOfTemporal: 30, Atlas: contract.AtlasReport{ClockAhead: &near}},
			Finding{checkClock, Warning,
				"this machine's clock is 30s ahead of Temporal's; the worker's clock is 30s ahead of Temporal's",
				setByNTP}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := &doctor{}
			d.checkClock(test.run, test.report)
			require.Equal(t, []Finding{test.want}, d.findings)
		})
	}
}

func TestServerVersions(t *testing.T) {
	t.Parallel()
	const tested = "; atlas-provisioner is tested with 1.29.1 to 1.32.1"
	for version, want := range map[string]Finding{
		"1.28.9": {checkServerVersion, Warning, "the Temporal server is 1.28.9" + tested,
			"upgrade the Temporal server, by one minor version at a time (docs/production.md)"},
		"1.29.1":       {checkServerVersion, OK, "the Temporal server is 1.29.1", ""},
		"1.31.0-150.2": {checkServerVersion, OK, "the Temporal server is 1.31.0-150.2", ""},
		"1.32.9":       {checkServerVersion, OK, "the Temporal server is 1.32.9", ""},
		"1.33.0": {checkServerVersion, Warning, "the Temporal server is 1.33.0" + tested,
			"look for a newer release of atlas-provisioner"},
		"2.0.0": {checkServerVersion, Warning, "the Temporal server is 2.0.0" + tested,
			"look for a newer release of atlas-provisioner"},
	} {
		d := &doctor{}
		d.checkServerVersion(version)
		require.Equal(t, []Finding{want}, d.findings)
	}
}

// In Temporal Cloud, `temporal operator` cannot add search attributes, and there is no dynamic configuration.
func TestTemporalCloud(t *testing.T) {
	t.Parallel()
	d := &doctor{Options: Options{Temporal: client.Options{
		HostPort: "us-east-1.aws.api.temporal.io:7233", Namespace: "provisioning.a1b2c",
	}}}
	require.Equal(t, "tcld namespace search-attributes add --namespace provisioning.a1b2c "+
		"--search-attribute AtlasProjectId=Keyword --search-attribute AtlasClusterState=Keyword",
		d.addSearchAttributes([]string{contract.SearchAttributeProjectID, contract.SearchAttributeClusterState}))
	d.describeFairness(&taskqueuepb.TaskQueueConfig{FairnessKeysRateLimitDefault: &taskqueuepb.RateLimitConfig{
		RateLimit: &taskqueuepb.RateLimit{RequestsPerSecond: 8},
	}})
	require.Equal(t, []Finding{{checkFairness, Skipped, "Temporal tells no client whether fairness is on; where it " +
		"is, each project gets 8 activities a second at most",
		"see that fairness is on in the settings of the namespace"}},
		d.findings)
}

// Each worker is named once, the first five of them, with the age of the newest poll.
func TestPollers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	poller := func(name string, age time.Duration) *taskqueuepb.PollerInfo {
		return &taskqueuepb.PollerInfo{Identity: name, LastAccessTime: timestamppb.New(now.Add(-age))}
	}
	who, age := describePollers([]*taskqueuepb.PollerInfo{poller("a", 3*time.Minute), poller("a", 2*time.Minute)}, now)
	require.Equal(t, "one worker: a", who)
	require.Equal(t, 2*time.Minute, age)
	var many []*taskqueuepb.PollerInfo
	for _, name := range []string{"g", "f", "e", "d", "c", "b", "a"} {
		many = append(many, poller(name, -time.Second))
	}
	who, age = describePollers(many, now)
	require.Equal(t, "7 workers: a, b, c, d, e, 2 more", who)
	require.Zero(t, age)
}
