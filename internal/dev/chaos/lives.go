//go:build unix

package main

import (
	"fmt"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// step is one request of a job, and what became of it.
type step struct {
	workflow string
	args     []string // the starter's, after the flags that name the cluster
	// outcome is the one that the request is to have, and effect what it is to change at Atlas; "" for nothing.
	outcome contract.Outcome
	effect  atlassim.Effect
	// isRefused says that the cluster is somebody else's.
	isRefused bool
	// ofEarlier says that the delete is for a cluster that is gone, by its id, so that the one that has its name now is
	// left alone.
	ofEarlier bool

	runs []jobRun // in the order in which they were made; the newest counts
	// startedAgain counts the runs that an operator terminated or cancelled, or that Atlas refused while it was asked.
	startedAgain int
	// recordLost counts how often an operator took away what a run had on record of the requests that it had sent.
	recordLost int

	cluster contract.Cluster
	err     error

	// leaseEnd is how the lease ends, if the step is one, and lease its result.
	leaseEnd leaseEnd
	lease    *contract.LeaseResult
}

func (s *step) newest() jobRun { return s.runs[len(s.runs)-1] }

// command is the starter's command of the step.
func (s *step) command() string {
	operation, _ := contract.OperationOf(s.workflow)
	return operation.Command
}

// The requests of which the jobs are made.

func provision(args ...string) *step {
	return &step{
		workflow: contract.ProvisionFlexCluster, outcome: contract.Created, effect: atlassim.Created,
		args: append([]string{"--provider", "AWS", "--region", "US_EAST_1", "--tag", "team=chaos"}, args...),
	}
}

// provisionAgain edits the request for a cluster that is there.
func provisionAgain(team string) *step {
	return &step{
		workflow: contract.ProvisionFlexCluster, outcome: contract.Updated, effect: atlassim.Updated,
		args: []string{"--provider", "AWS", "--region", "US_EAST_1", "--tag", "team=" + team, "--update"},
	}
}

func update(args ...string) *step {
	return &step{
		workflow: contract.UpdateFlexCluster, outcome: contract.Updated, effect: atlassim.Updated, args: args,
	}
}

func upgradeToServerless() *step {
	return &step{
		workflow: contract.UpgradeToServerless, outcome: contract.Upgraded, effect: atlassim.Upgraded,
		args: []string{"--provider", "AWS", "--region", "US_EAST_1", "--tag", "team=chaos"},
	}
}

func upgradeToFlex() *step {
	s := upgradeToServerless()
	s.workflow = contract.UpgradeToFlex
	return s
}

func upgradeToDedicated() *step {
	return &step{
		workflow: contract.UpgradeToDedicated, outcome: contract.Upgraded, effect: atlassim.Upgraded,
		args: []string{"--provider", "AWS", "--region", "US_EAST_1", "--instance-size", "M10"},
	}
}

func remove(args ...string) *step {
	return &step{
		workflow: contract.DeleteCluster, outcome: contract.Deleted, effect: atlassim.Deleted,
		args: append([]string{"--yes"}, args...),
	}
}

// removeEarlier deletes a cluster that has a successor of its name.
func removeEarlier() *step {
	s := remove()
	s.outcome, s.effect, s.ofEarlier = contract.Unchanged, atlassim.NoEffect, true
	return s
}

// refused is a request for somebody else's cluster.
func refused(s *step) *step {
	s.outcome, s.effect, s.isRefused = "", atlassim.NoEffect, true
	return s
}

// life is what one of the jobs does to a cluster, from its beginning to its end.
type life struct {
	// begins says how the cluster is there before the job: made by others, as an M0, or not at all.
	begins jobKind
	steps  func() []*step
}

// lives are what happens to clusters, each to one after another.
var lives = []life{
	{begins: newLife, steps: func() []*step {
		return []*step{
			provision(), update("--tag", "team=changed"), upgradeToDedicated(), remove(),
			provision("--tag", "again=1"), removeEarlier(),
		}
	}},
	{begins: sharedLife, steps: func() []*step {
		return []*step{upgradeToFlex(), update("--no-tags", "--termination-protection=true"),
			remove("--remove-termination-protection")}
	}},
	{begins: newLife, steps: func() []*step {
		return []*step{provision("--termination-protection"), provisionAgain("edited"), remove()}
	}},
	{begins: theirLife, steps: func() []*step {
		return []*step{
			refused(remove()), refused(update("--tag", "team=ours")), refused(upgradeToDedicated()),
			update("--tag", "team=adopted", "--adopt"), remove(),
		}
	}},
}

func lifeName(i int) string { return fmt.Sprintf("life-%d", i) }
