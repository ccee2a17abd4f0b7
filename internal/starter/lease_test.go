package starter

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

func (s *stack) leaseID() string { return "atlas-lease-" + s.project + "-orders" }

// A lease from its begin to its end: --wait ends when the cluster is IDLE and prints it, list and status tell what is
// left, extend moves the end, release asks, and the result tells that the cluster is gone.
func TestLease(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{DeleteFor: atlassim.Duration(100 * time.Millisecond)})
	out := s.run(s.flags("lease-flex", "--for", "8h", "--wait")...)
	require.Equal(t, 0, out.code, out.stderr)
	require.Regexp(t, `^Cluster    orders \(FLEX, MongoDB VERSION\) is IDLE: CREATED\nConnect    mongodb\+srv://.+\n`+
		`Where      AWS US_EAST_1\nId         ID\nWorkflow   atlas-lease-PROJECT-orders\n`, out.stdout)
	_, rest := s.progress(out.stderr)
	require.Equal(t, "Following atlas-lease-PROJECT-orders\n", rest)

	testenv.Eventually(t, func() bool {
		list := s.run("list", "--project-id", s.project).stdout
		return strings.Contains(list, " LEFT ") &&
			strings.Contains(list, "lease-flex      IDLE   ") && strings.Contains(list, " 7h ")
	}, "the list tells what is left")
	out = s.run("status", s.leaseID())
	require.Contains(t, out.stdout, "Status     RUNNING, IDLE, Ns, attempt ")
	require.Regexp(t, `(?m)^Lease ends in 7h, at \d\d:\d\d:\d\d UTC on \d{4}-\d\d-\d\d$`, out.stdout)

	out = s.run("extend", s.leaseID(), "--by", "2h")
	require.Regexp(t, `^Workflow atlas-lease-PROJECT-orders has time until `, out.stdout)
	out = s.run("extend", s.leaseID(), "--by", "720h")
	require.Equal(t, 2, out.code)
	require.Regexp(t, `^starter: invalid input: seconds must be from 1 to \d+, got 2592000: the lease ends in .*, `+
		`and may end in 720h0m0s at the latest\. The limit was not moved\n$`, out.stderr)

	out = s.run(s.flags("lease-flex", "--for", "7h")...)
	require.Equal(t, 2, out.code)
	require.Contains(t, out.stderr, `leaseSeconds is "28800", requested "25200"`)
	out = s.run(s.flags("lease-flex", "--for", "8h", "-o", "json", "--wait")...)
	require.Equal(t, 0, out.code)
	require.Contains(t, out.stdout, `"status": "RUNNING",`+"\n"+`  "result": {`+"\n"+`    "id": "ID",`)

	require.Equal(t, output{code: 2, stderr: "starter: nothing was released: release asks on a terminal, and " +
		"there is none. Give --yes to go on without being asked\nSee 'starter release --help'\n"},
		s.run("release", s.leaseID()))
	require.Equal(t, output{stdout: "Released atlas-lease-PROJECT-orders. Its cluster is deleted: 'starter watch' " +
		"follows that to its end.\n"}, s.run("release", s.leaseID(), "--yes"))
	out = s.run("result", s.leaseID())
	require.Equal(t, 0, out.code)
	require.Regexp(t, `^Cluster    orders \(FLEX, MongoDB VERSION\) is gone: RELEASED\nWhere      AWS US_EAST_1\n`+
		`Id         ID\nWorkflow   atlas-lease-PROJECT-orders\n(Web UI .*\n)?Leased     from .* to .*\n$`, out.stdout)
	require.Empty(t, s.sim.Clusters())

	raw := runWith("", s.env, "result", s.leaseID(), "-o", "json")
	var answer struct {
		Status string
		Result contract.LeaseResult
	}
	require.NoError(t, json.Unmarshal([]byte(raw.stdout), &answer))
	require.Equal(t, "COMPLETED", answer.Status)
	require.Equal(t, contract.Released, answer.Result.Outcome)
	require.Equal(t, "DELETED", answer.Result.Cluster.StateName)

	require.Equal(t, output{code: 2, stderr: "starter: workflow atlas-lease-PROJECT-orders has ended already: " +
		"COMPLETED. 'starter status' tells how\n"}, s.run("release", s.leaseID(), "--yes"))
}

// A file of leases: with --wait each is waited for until its cluster is IDLE. A cancellation deletes the cluster.
func TestLeasesFromAFile(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{DeleteFor: atlassim.Duration(100 * time.Millisecond)})
	const request = "groupId: PROJECT\nleaseSeconds: 3600\n" +
		"providerSettings: {backingProviderName: AWS, regionName: US_EAST_1}\nname: "
	file := strings.ReplaceAll(request+"a\n---\n"+request+"b\n", "PROJECT", s.project)
	out := s.runWith(file, "lease-flex", "-f-", "--wait")
	require.Equal(t, 0, out.code, out.stderr)
	require.Regexp(t, `^RUNNING +atlas-lease-PROJECT-a +CREATED mongodb\+srv://.*\n`+
		`RUNNING +atlas-lease-PROJECT-b +CREATED mongodb\+srv://.*\n$`, out.stdout)
	for _, name := range []string{"a", "b"} {
		id := "atlas-lease-" + s.project + "-" + name
		require.Equal(t, output{
			stdout: "Asked workflow atlas-lease-PROJECT-" + name + " to end. Its cluster is deleted.\n",
		}, s.run("cancel", id))
		require.Equal(t, 1, s.run("result", id).code)
	}
	require.Empty(t, s.sim.Clusters())
}

// A lease that comes to nothing ends with exit code 1, and --wait says what became of the cluster.
func TestLeaseFails(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	s.sim.AddFault(atlassim.Fault{
		Method: "POST", Kind: atlassim.FaultStatus, Status: 402, ErrorCode: "NO_PAYMENT_INFORMATION_FOUND",
	})
	out := s.run(s.flags("lease-flex", "--for", "1h", "--wait", "-o", "json")...)
	require.Equal(t, 1, out.code)
	require.Contains(t, out.stdout, `"status": "FAILED"`)
	require.Contains(t, out.stderr, "starter: NO_PAYMENT_INFORMATION_FOUND: ")
	require.Contains(t, out.stderr, "The lease has ended: there was no cluster to delete")
}

// What is no lease is not released, and mistakes of the flags are told in their terms.
func TestLeaseUsage(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	require.Equal(t, 0, s.run(s.flags("provision-flex")...).code)
	require.Equal(t, output{code: 2, stderr: "starter: workflow atlas-cluster-PROJECT-orders is no lease, but " +
		"ProvisionFlexCluster. 'starter delete' deletes a cluster\n"}, s.run("release", s.clusterID(), "--yes"))
	const tooShort = "starter: nothing was started:\n  --for must be from 60 to 2592000, got 30\n"
	require.Equal(t, output{code: 2, stderr: tooShort}, s.run(s.flags("lease-flex", "--for", "30s")...))
	out := s.run(s.flags("lease-flex", "--for", "90m", "--dry-run")...)
	require.Equal(t, 0, out.code)
	require.Contains(t, out.stdout, "Would      lease Flex cluster orders of project PROJECT in AWS US_EAST_1 for "+
		"1h30m0s, and delete it then\nWorkflow   atlas-lease-PROJECT-orders\nType       LeaseFlexCluster\n")
	require.Contains(t, out.stdout, `"leaseSeconds": 5400`)
}
