package activities

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// clusterSeen is a cluster as a test has Atlas show it.
type clusterSeen struct {
	state, owner, region, size, provider string
	tags                                 []atlasclient.Tag
	protected                            bool
}

// as is the observation of the cluster as one of a kind, in AWS US_EAST_1 unless it says otherwise.
func (c clusterSeen) as(k kind) *observation {
	settings := atlasclient.ProviderSettings(place)
	settings.InstanceSizeName, settings.ProviderName = c.size, c.provider
	if c.region != "" {
		settings.RegionName = c.region
	}
	tags := c.tags
	if c.owner != "" {
		tags = append(tags, atlasclient.Tag{Key: contract.OwnershipTag, Value: c.owner})
	}
	return &observation{&atlasclient.Cluster{
		Name: "orders", StateName: c.state, ProviderSettings: settings, Tags: tags,
		TerminationProtectionEnabled: c.protected,
	}, &atlasclient.Response{}, k}
}

const (
	vanished = `, and shows no tag atlas-provisioner-workflow; tags vanish during an upgrade and come back`
	makeNew  = `to make a new one, start the workflow ProvisionFlexCluster`
	wasLeft  = `. It was left untouched: `
)

// decideUpgradeCase is what an upgrade found, and what it does about it.
type decideUpgradeCase struct {
	name    string
	found   upgradeFound
	send    bool
	outcome contract.Outcome
	// failureType is "" where the upgrade goes on. message follows the name of the cluster.
	failureType, message string
}

func (c decideUpgradeCase) check(t *testing.T, request upgradeRequest) {
	t.Run(c.name, func(t *testing.T) {
		t.Parallel()
		got := decideUpgrade(request, c.found, DefaultPace)
		requireFailure(t, got.err, c.failureType, `cluster "orders": `+c.message)
		require.Equal(t, c.send, got.send)
		require.Equal(t, c.outcome, got.cluster.Outcome)
	})
}

// What every upgrade does about a cluster that is still of the old kind. before is the cluster as it was before the
// request.
func sourceCases(shown func(state string) *observation) []decideUpgradeCase {
	before := &contract.Cluster{Name: "orders"}
	return []decideUpgradeCase{
		{name: "it is IDLE", found: upgradeFound{source: shown("IDLE")}, send: true},
		{
			name: "Atlas makes another change", found: upgradeFound{source: shown("UPDATING")},
			failureType: contract.NotYet, message: `it is UPDATING; the upgrade is asked for once it is IDLE`,
		},
		{
			name: "Atlas creates it", found: upgradeFound{source: shown("CREATING")},
			failureType: contract.NotYet, message: `it is CREATING; the upgrade is asked for once it is IDLE`,
		},
		{
			name: "Atlas repairs it", found: upgradeFound{source: shown("REPAIRING")},
			failureType: contract.NotYet, message: `it is REPAIRING; the upgrade is asked for once it is IDLE`,
		},
		{
			name: "UPDATING soon after a lost request: it may be another change",
			found: upgradeFound{
				source: shown("UPDATING"), before: before, mayHaveSent: true, watchedFor: 29 * time.Second,
			},
			failureType: contract.NotYet,
			message: `the answer to the upgrade was lost, and the cluster is UPDATING for 29s; looking whether that ` +
				`is the upgrade`,
		},
		{
			name: "UPDATING for so long that it is the upgrade",
			found: upgradeFound{
				source: shown("UPDATING"), before: before, mayHaveSent: true, watchedFor: 30 * time.Second,
			},
			outcome: contract.Upgraded,
		},
		{
			name: "UPDATING for long, but it is not known what the cluster was before",
			found: upgradeFound{
				source: shown("UPDATING"), mayHaveSent: true, watchedFor: time.Hour,
			},
			failureType: contract.NotYet, message: `it is UPDATING; the upgrade is asked for once it is IDLE`,
		},
		{
			name:        "IDLE soon after the lost request: it may be IDLE as before",
			found:       upgradeFound{source: shown("IDLE"), mayHaveSent: true, watchedFor: 29 * time.Second},
			failureType: contract.NotYet,
			message:     `the answer to the upgrade was lost; looking for 29s whether it took effect`,
		},
		{
			name:  "IDLE long after the lost request: it had no effect",
			found: upgradeFound{source: shown("IDLE"), mayHaveSent: true, watchedFor: 30 * time.Second},
			send:  true,
		},
		{
			name:        "IDLE soon after a refusal: an upgrade may be under way",
			found:       upgradeFound{source: shown("IDLE"), refused: true, watchedFor: 29 * time.Second},
			failureType: contract.NotYet,
			message:     `Atlas refused the upgrade; looking for 29s whether one is under way already`,
		},
		{
			name:  "IDLE long after a refusal: none is under way",
			found: upgradeFound{source: shown("IDLE"), refused: true, watchedFor: 30 * time.Second},
			send:  true,
		},
	}
}

func TestDecideUpgradeToServerless(t *testing.T) {
	t.Parallel()
	shown := func(state string) *observation { return clusterSeen{state: state}.as(shared) }
	instance := func(c clusterSeen) upgradeFound { return upgradeFound{target: c.as(serverless)} }
	young := instance(clusterSeen{state: "IDLE"})
	young.madeByThisRun = true
	request := (&Activities{}).serverlessUpgrade(contract.UpgradeToServerlessInput{
		GroupID: group, Name: "orders", ProviderSettings: place,
	})
	for _, test := range append(sourceCases(shown), []decideUpgradeCase{
		{name: "nothing that Atlas shows: it refuses in better words", send: true},
		{
			name:  "an instance of an earlier run",
			found: instance(clusterSeen{state: "IDLE"}), outcome: contract.Unchanged,
		},
		{name: "an instance of this run", found: young, outcome: contract.Upgraded},
		{
			name: "an instance that is not as asked", found: instance(clusterSeen{state: "IDLE", region: "EU_WEST_1"}),
			failureType: contract.ClusterConflict,
			message: `it is serverless already, but not as asked: providerSettings.regionName is "EU_WEST_1", ` +
				`requested "US_EAST_1". Change the instance in Atlas or the request, then start the workflow again`,
		},
		{
			name: "an instance that is being deleted", found: instance(clusterSeen{state: "DELETING"}),
			failureType: contract.ClusterConflict,
			message:     `a serverless instance of that name is being deleted: start the workflow again in a minute`,
		},
	}...) {
		test.check(t, request)
	}
}

func TestDecideUpgradeToFlex(t *testing.T) {
	t.Parallel()
	free := func(c clusterSeen) upgradeFound {
		if c.size == "" {
			c.provider, c.size = atlasclient.ProviderTenant, "M0"
		}
		return upgradeFound{source: c.as(shared)}
	}
	shown := func(state string) *observation { return free(clusterSeen{state: state}).source }
	request := (&Activities{}).flexUpgrade(contract.UpgradeToFlexInput{
		GroupID: group, Name: "orders", ProviderSettings: place,
	}, ourID)
	for _, test := range append(sourceCases(shown), []decideUpgradeCase{
		{name: "an M0 of this workflow", found: free(clusterSeen{state: "IDLE", owner: ourID}), send: true},
		{
			name: "another workflow's M0", found: free(clusterSeen{state: "IDLE", owner: "somebody"}),
			failureType: contract.ClusterConflict,
			message: `it is not this workflow's (workflow "somebody" made it)` + wasLeft + `use the workflow id that ` +
				`made it`,
		},
		{
			name: "an M0 that is being deleted", found: free(clusterSeen{state: "DELETING"}),
			failureType: contract.ClusterGone, message: `it is being deleted: ` + makeNew,
		},
		{
			name:        "a dedicated cluster",
			found:       free(clusterSeen{state: "IDLE", owner: ourID, size: "M10", provider: "AWS"}),
			failureType: contract.ClusterConflict,
			message: `its size is M10, and only an M0 can be upgraded to Flex` + wasLeft + `correct the name, then ` +
				`start the workflow again`,
		},
		{
			name: "another size of the shared tier", found: free(clusterSeen{
				state: "IDLE", size: "M2", provider: atlasclient.ProviderTenant,
			}),
			failureType: contract.ClusterConflict,
			message: `its size is M2, and only an M0 can be upgraded to Flex` + wasLeft + `correct the name, then ` +
				`start the workflow again`,
		},
		{
			name:        "an M0 that an earlier run has brought half way to Flex",
			found:       free(clusterSeen{state: "UPDATING", owner: ourID, size: "FLEX", provider: "FLEX"}),
			failureType: contract.NotYet, message: `it is UPDATING; the upgrade is asked for once it is IDLE`,
		},
	}...) {
		test.check(t, request)
	}
}

func TestDecideUpgradeToDedicated(t *testing.T) {
	t.Parallel()
	where := place
	where.InstanceSizeName = "M10"
	in := contract.UpgradeToDedicatedInput{GroupID: group, Name: "orders", ProviderSettings: where}
	source := func(c clusterSeen) upgradeFound { return upgradeFound{source: c.as(flex)} }
	shown := func(state string) *observation { return source(clusterSeen{state: state, owner: ourID}).source }
	tenant := func(c clusterSeen) upgradeFound { return upgradeFound{target: c.as(dedicated)} }
	for _, test := range append(sourceCases(shown), []decideUpgradeCase{
		{
			name: "another workflow's", found: source(clusterSeen{state: "IDLE", owner: "somebody"}),
			failureType: contract.ClusterConflict,
			message: `it is not this workflow's (workflow "somebody" made it)` + wasLeft + `use the workflow id that ` +
				`made it`,
		},
		{
			name: "without a tag", found: source(clusterSeen{state: "IDLE"}), failureType: contract.ClusterConflict,
			message: `it is not known to be this workflow's (it carries no tag atlas-provisioner-workflow)` + wasLeft +
				`to take it over, set adopt, then start the workflow again`,
		},
		{
			name:        "without a tag, and UPDATING: its tags may have vanished",
			found:       source(clusterSeen{state: "UPDATING"}),
			failureType: contract.NotYet, message: `it is UPDATING and shows no tag atlas-provisioner-workflow; ` +
				`whose it is shows once it is IDLE`,
		},
		{
			name: "being deleted", found: source(clusterSeen{state: "DELETING"}),
			failureType: contract.ClusterGone, message: `it is being deleted: ` + makeNew,
		},
		{
			name: "an M0", found: tenant(clusterSeen{state: "IDLE", provider: atlasclient.ProviderTenant, size: "M0"}),
			failureType: contract.ClusterConflict,
			message: `it is a shared-tier cluster (M0), and only a Flex cluster can be upgraded to dedicated` +
				wasLeft +
				`upgrade it to Flex first, then start the workflow again`,
		},
		{
			name: "an M0 that is on its way to Flex", found: tenant(clusterSeen{state: "UPDATING", provider: "FLEX"}),
			failureType: contract.NotYet,
			message:     `it is no Flex cluster, but UPDATING, maybe to become one; it is looked at again`,
		},
		{
			name: "an M0 that is being deleted", found: tenant(clusterSeen{
				state: "DELETING", provider: atlasclient.ProviderTenant,
			}),
			failureType: contract.ClusterGone, message: `it is being deleted: ` + makeNew,
		},
	}...) {
		test.check(t, (&Activities{}).dedicatedUpgrade(in, ourID))
	}
	in.Adopt = true
	decideUpgradeCase{
		name: "without a tag, to be taken over", found: source(clusterSeen{state: "IDLE"}), send: true,
	}.check(t, (&Activities{}).dedicatedUpgrade(in, ourID))
}

// What an upgrade does about a cluster that is of the target kind already.
func TestUpgradedAlready(t *testing.T) {
	t.Parallel()
	const (
		older = iota // than the run
		ofTheRun
		answerLost   // and no older than the run
		longSettled  // like answerLost, and watched for as long as needed
		olderAndLost // Atlas gave no date that can be read
	)
	for _, test := range []struct {
		name        string
		shown       clusterSeen
		history     int
		adopt       bool
		noTag       bool // the request does without the ownership tag
		tags        []contract.Tag
		outcome     contract.Outcome
		failureType string
		message     string
	}{
		{name: "ours of an earlier run", shown: clusterSeen{state: "IDLE", owner: ourID}, outcome: contract.Unchanged},
		{
			name: "ours of an earlier run, still UPDATING", shown: clusterSeen{state: "UPDATING", owner: ourID},
			outcome: contract.Unchanged,
		},
		{
			name: "ours of this run", shown: clusterSeen{state: "IDLE", owner: ourID}, history: ofTheRun,
			outcome: contract.Upgraded,
		},
		{
			name: "ours of this run, without the tags that were asked for", history: ofTheRun,
			shown: clusterSeen{state: "IDLE", owner: ourID}, tags: []contract.Tag{{Key: "team", Value: "orders"}},
			outcome: contract.Upgraded,
		},
		{
			name:  "ours of an earlier run, without the tags that were asked for",
			shown: clusterSeen{state: "IDLE", owner: ourID}, tags: []contract.Tag{{Key: "team", Value: "orders"}},
			failureType: contract.ClusterConflict,
			message: `it is dedicated already, but not as asked: tags.team is none, requested "orders". Change the ` +
				`cluster in Atlas or the request, then start the workflow again`,
		},
		{
			name: "ours of this run, of another size", history: answerLost,
			shown:       clusterSeen{state: "IDLE", owner: ourID, size: "M20"},
			failureType: contract.ClusterConflict,
			message: `it is dedicated already, but not as asked: providerSettings.instanceSizeName is "M20", ` +
				`requested "M10". Change the cluster in Atlas or the request, then start the workflow again`,
		},
		{
			name: "ours after a lost answer, of an unknown age", shown: clusterSeen{state: "IDLE", owner: ourID},
			history: olderAndLost, outcome: contract.Upgraded,
		},
		{
			name: "another workflow's, however young", shown: clusterSeen{state: "IDLE", owner: "somebody"},
			history: answerLost, failureType: contract.ClusterConflict,
			message: `it is not this workflow's (workflow "somebody" made it)` + wasLeft + `use the workflow id that ` +
				`made it`,
		},
		{
			name: "being deleted", shown: clusterSeen{state: "DELETING", owner: ourID},
			failureType: contract.ClusterGone, message: `it is being deleted: ` + makeNew,
		},
		{
			name: "without tags, and UPDATING", shown: clusterSeen{state: "UPDATING"}, history: answerLost,
			failureType: contract.NotYet, message: `it is dedicated already and UPDATING` + vanished,
		},
		{
			name: "without tags, IDLE soon after a lost answer", shown: clusterSeen{state: "IDLE"}, history: answerLost,
			failureType: contract.NotYet, message: `it is dedicated already and IDLE` + vanished,
		},
		{
			name:  "without tags, IDLE long after a lost answer",
			shown: clusterSeen{state: "IDLE"}, history: longSettled,
			failureType: contract.ClusterConflict,
			message: `it is dedicated already, and not known to be this workflow's (it carries no tag ` +
				`atlas-provisioner-workflow)` + wasLeft + `to take it over, set adopt, then start the workflow again`,
		},
		{
			name: "without tags, to be taken over", shown: clusterSeen{state: "IDLE"}, adopt: true,
			outcome: contract.Unchanged,
		},
		{
			name:  "without tags, to be taken over after a lost answer",
			shown: clusterSeen{state: "UPDATING"}, adopt: true,
			history: answerLost, outcome: contract.Upgraded,
		},
		{
			name: "no tag asked for, after a lost answer", shown: clusterSeen{state: "UPDATING"}, noTag: true,
			history: answerLost, outcome: contract.Upgraded,
		},
		{
			name: "no tag asked for, UPDATING", shown: clusterSeen{state: "UPDATING"}, noTag: true,
			failureType: contract.NotYet, message: `it is dedicated already and UPDATING` + vanished,
		},
		{
			name: "no tag asked for, and as asked", shown: clusterSeen{state: "IDLE"}, noTag: true,
			outcome: contract.Unchanged,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			where := place
			where.InstanceSizeName = "M10"
			already := upgradedAlready{
				asked: contract.Asked{Place: where, Tags: test.tags, Owner: ourID}, workflowID: ourID,
				becomes: "dedicated", adopt: test.adopt, takeOver: "set adopt",
			}
			if test.noTag {
				already.asked.Owner = ""
			}
			if test.shown.size == "" {
				test.shown.size = "M10"
			}
			found := upgradeFound{
				target:        test.shown.as(dedicated),
				madeByThisRun: test.history != older && test.history != olderAndLost,
				mayHaveSent:   test.history >= answerLost,
			}
			if test.history == longSettled {
				found.watchedFor = DefaultPace.SettleFor
			}
			got, err := already.decide(found, DefaultPace)
			requireFailure(t, err, test.failureType, `cluster "orders": `+test.message)
			require.Equal(t, test.outcome, got.Outcome)
		})
	}
}

// An upgrade is sent with what is asked, and with what the cluster has where nothing is asked.
func TestUpgradeBody(t *testing.T) {
	t.Parallel()
	ownTag := atlasclient.Tag{Key: contract.OwnershipTag, Value: ourID}
	teamTag := atlasclient.Tag{Key: "team", Value: "a"}
	for _, test := range []struct {
		name      string
		source    clusterSeen
		asked     contract.Asked
		tags      []atlasclient.Tag
		protected bool
	}{
		{
			name: "tags and protection are kept", asked: contract.Asked{Owner: ourID},
			source: clusterSeen{owner: ourID, tags: []atlasclient.Tag{teamTag}, protected: true},
			tags:   []atlasclient.Tag{teamTag, ownTag}, protected: true,
		},
		{
			name: "the cluster is taken over", asked: contract.Asked{Owner: ourID},
			source: clusterSeen{tags: []atlasclient.Tag{teamTag}}, tags: []atlasclient.Tag{teamTag, ownTag},
		},
		{
			name: "all tags but the ownership tag go", asked: contract.Asked{Owner: ourID, Tags: []contract.Tag{}},
			source: clusterSeen{owner: ourID, tags: []atlasclient.Tag{teamTag}}, tags: []atlasclient.Tag{ownTag},
		},
		{
			name:   "tags and protection as asked",
			source: clusterSeen{tags: []atlasclient.Tag{{Key: "team", Value: "b"}}},
			asked: contract.Asked{
				Owner: ourID, Tags: []contract.Tag{contract.Tag(teamTag)}, TerminationProtectionEnabled: new(true),
			},
			tags: []atlasclient.Tag{teamTag, ownTag}, protected: true,
		},
		{
			name: "without the ownership tag", source: clusterSeen{}, asked: contract.Asked{Tags: []contract.Tag{}},
			tags: []atlasclient.Tag{},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.asked.Place = place
			require.Equal(t, atlasclient.UpgradeRequest{
				Name: "orders", ProviderSettings: atlasclient.ProviderSettings(place), Tags: test.tags,
				TerminationProtectionEnabled: &test.protected,
			}, upgradeBody(test.source.as(flex).result(), test.asked))
		})
	}
}

// While an upgrade runs the tags vanish, so that the cluster is taken to have those from before.
func TestAsItWas(t *testing.T) {
	t.Parallel()
	before := &contract.Cluster{
		Tags: []contract.Tag{{Key: "team", Value: "orders"}}, TerminationProtectionEnabled: true, StateName: "IDLE",
	}
	upgrading := contract.Cluster{StateName: "UPDATING", Outcome: contract.Upgraded}
	u := &upgrade{progress: upgradeProgress{Source: before}}
	got := u.asItWas(upgrading)
	require.Equal(t, contract.Cluster{
		StateName: "UPDATING", Outcome: contract.Upgraded, Tags: before.Tags, TerminationProtectionEnabled: true,
	}, got)
	unchanged := contract.Cluster{StateName: "IDLE", Outcome: contract.Unchanged}
	require.Equal(t, unchanged, u.asItWas(unchanged), "a cluster that was upgraded before")
	require.Equal(t, upgrading, (&upgrade{}).asItWas(upgrading), "what the cluster was is not known")
}
