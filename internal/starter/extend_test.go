package starter

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// extend moves the time limit of a run, tells when its time is up, and refuses what is too much or has ended.
func TestExtend(t *testing.T) {
	t.Parallel()
	s, letGo := setupHeld(t, func(atlassim.Stage, atlassim.Entry) {})
	s.startWorker()
	require.Equal(t, 0, s.run(s.flags("provision-flex", "--timeout", "10m")...).code)
	testenv.Eventually(t, func() bool { return s.sim.Count(atlassim.Created) == 1 })

	out := s.run("extend", s.clusterID(), "--by", "30m")
	require.Regexp(t, `^Workflow atlas-cluster-PROJECT-orders has time until \d\d:\d\d:\d\d UTC on 20\d\d-\d\d-\d\d\n$`,
		out.stdout)
	require.Equal(t, output{stdout: out.stdout}, out)

	raw := runWith("", s.env, "extend", s.clusterID(), "--by", "1500ms", "-o", "json")
	require.Equal(t, 0, raw.code, raw.stderr)
	var answer struct {
		WorkflowID, RunID, Status string
		Deadline                  time.Time
	}
	require.NoError(t, json.Unmarshal([]byte(raw.stdout), &answer))
	require.Equal(t, s.clusterID(), answer.WorkflowID)
	require.NotEmpty(t, answer.RunID)
	require.Equal(t, "RUNNING", answer.Status)
	require.WithinDuration(t, time.Now().Add(40*time.Minute+2*time.Second), answer.Deadline, testenv.Patience)

	require.Equal(t, output{code: 2, stderr: "starter: invalid input: seconds must be from 1 to 602398, got 604800: " +
		"the time limit of a run is 40m2s now, and may come to 168h0m0s. The limit was not moved\n"},
		s.run("extend", s.clusterID(), "--by", "168h"))

	letGo()
	require.Equal(t, 0, s.run("result", s.clusterID()).code)
	require.Equal(t, output{code: 2, stderr: "starter: workflow atlas-cluster-PROJECT-orders has ended already: " +
		"COMPLETED. 'starter status' tells how\n"}, s.run("extend", s.clusterID(), "--by", "1h"))
}

// Without a worker extend gives up, and says why.
func TestExtendWithoutWorker(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	require.Equal(t, 0, s.run(s.flags("provision-flex")...).code)
	require.Equal(t, output{code: 1, stderr: "starter: no worker has extended workflow atlas-cluster-PROJECT-orders " +
		`within 10s: no worker polls the task queue "QUEUE": start one, or let TEMPORAL_TASK_QUEUE name the queue ` +
		"that the workers poll. One that comes up soon may still do so\n"},
		s.run("extend", s.clusterID(), "--by", "1h"))
}
