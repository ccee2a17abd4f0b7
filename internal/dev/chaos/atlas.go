//go:build unix

package main

import (
	"cmp"
	"math"
	"net/http"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
)

// anyRequestFaults are the ways in which Atlas fails that can meet any request for a cluster.
func anyRequestFaults() []atlassim.Fault {
	hang := atlassim.Duration(20 * time.Second)
	return []atlassim.Fault{
		{Kind: atlassim.FaultStatus, Status: 500, ErrorCode: "UNEXPECTED_ERROR", Detail: "Unexpected error."},
		{Kind: atlassim.FaultStatus, Status: 500, ErrorCode: "UNEXPECTED_ERROR", AfterEffect: true},
		{Kind: atlassim.FaultHTML, Status: 502},
		{Kind: atlassim.FaultHTML, Status: 503, RetryAfter: "1"},
		{Kind: atlassim.FaultStatus, Status: 429, ErrorCode: "RATE_LIMITED", RetryAfter: "2"},
		{Kind: atlassim.FaultStatus, Status: 429, ErrorCode: "RATE_LIMITED_TOKEN_BUCKET", RetryAfter: "0"},
		{Kind: atlassim.FaultReset},
		{Kind: atlassim.FaultLost},
		{Kind: atlassim.FaultHang, Hang: hang},
		{Kind: atlassim.FaultHang, Hang: hang, AfterEffect: true},
		{Kind: atlassim.FaultTruncate},
		{Kind: atlassim.FaultOversize, AfterEffect: true},
		{Kind: atlassim.FaultGarbage},
		{Kind: atlassim.FaultStatus, Status: 408, ErrorCode: "REQUEST_TIMEOUT", AfterEffect: true},
		{Kind: atlassim.FaultStatus, Status: 425},
		{Kind: atlassim.FaultBadText},
		{Kind: atlassim.FaultBadText, Status: 429, AfterEffect: true},
		{Kind: atlassim.FaultLongText, AfterEffect: true},
		{Kind: atlassim.FaultBody, Body: "{}"},
		{Kind: atlassim.FaultBody, Body: "null"},
		// Not where a single cluster is read: by its date a run knows that it has made the cluster.
		{Kind: atlassim.FaultRewrite, Set: map[string]any{"createDate": ""}, Path: "/flexClusters$"},
		{Kind: atlassim.FaultUnauthorized, Auth: atlassim.AuthDigest},
	}
}

// readFaults are those that meet only reads.
func readFaults() []atlassim.Fault {
	return []atlassim.Fault{
		{Kind: atlassim.FaultStatus, ErrorCode: "IP_ADDRESS_NOT_ON_ACCESS_LIST"},
		{Kind: atlassim.FaultStatus, ErrorCode: "NOT_IN_GROUP"},
		{Kind: atlassim.FaultHTML, Status: 403},
		{Kind: atlassim.FaultDropQuery},
	}
}

// writeFaults are those that meet only writes.
func writeFaults() []atlassim.Fault {
	return []atlassim.Fault{
		{Kind: atlassim.FaultStatus, Status: 405, ErrorCode: "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES"},
		{Kind: atlassim.FaultStatus, Status: 400, ErrorCode: "CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP"},
	}
}

// tokenFaults are those of the token endpoint.
func tokenFaults() []atlassim.Fault {
	return []atlassim.Fault{
		{Kind: atlassim.FaultBadText},
		{Kind: atlassim.FaultHTML, Status: 502},
	}
}

// faults are all the ways in which Atlas fails. One after another is tried until one strikes, so that a part of the
// reads as large as asked, and a little less of the writes, meets one.
func faults(o options) []atlassim.Fault {
	all, reads, writes := anyRequestFaults(), readFaults(), writeFaults()
	probability := 1 - math.Pow(1-o.faults, 1/float64(len(all)+len(reads)))
	for i := range reads {
		reads[i].Method = http.MethodGet
	}
	for i := range writes {
		writes[i].Method = http.MethodPost
	}
	all = append(append(all, reads...), writes...)
	for i := range all {
		all[i].Path, all[i].Probability = cmp.Or(all[i].Path, "/groups/"), probability
	}
	for _, f := range tokenFaults() {
		f.Path, f.Probability = "/oauth/token", o.faults/2
		all = append(all, f)
	}
	for i := range all {
		all[i].Seed = o.seed<<8 + uint64(i)
	}
	return all
}

// atlasSettings are those of an Atlas that fails as often as asked, in every way it can. A campaign is short, so what
// takes Atlas its time is shorter than it is there: a nonce lives 5 s and 50 uses, not Jetty's 60 s and 1,024.
func atlasSettings(o options) stack.Settings {
	shared := []atlassim.SharedCluster{}
	for i := range o.upgrades {
		shared = append(shared, atlassim.SharedCluster{GroupID: groupID(i), Name: upgradeName(i)})
	}
	for i := range o.lives {
		if lives[i%len(lives)].begins == sharedLife {
			shared = append(shared, atlassim.SharedCluster{GroupID: groupID(i), Name: lifeName(i)})
		}
	}
	return stack.Settings{
		"publicKey": publicKey, "privateKey": privateKey, "nonceTTL": "5s", "nonceUses": 50, "refuseReplays": true,
		"clientId": clientID, "clientSecret": clientSecret,
		// Real Atlas gives 10 tokens a minute. Workers that are restarted every three seconds need more.
		"tokensPerMinute": 120,
		"createFor":       "3s", "updatingFor": "1s", "repairingFor": "1s", "hiddenFor": "4s",
		"noStringsYet": true, "standardAfter": "1s", "updatingAgainAfter": "3s", "updatingAgainFor": "2s",
		"trimTags":   true,
		"upgradeFor": "20s", "staleIdleFor": "2s", "staleIdleReads": 2,
		"updateFor": "1s", "updateDedicatedFor": "2s",
		"deleteFor": "6s", "deleteDedicatedFor": "8s", "deletingAfter": "1s", "ignoredDeletes": o.lives / 6,
		"shared": shared, "faults": faults(o),
	}
}
