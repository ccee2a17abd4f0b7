//go:build unix

package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// step is one of the commands by which a new user gets to know the programs.
type step struct{ does, command string }

// steps make a cluster, break Atlas, mend it while a run waits for it, and delete what was made. internal/docs TestUp
// runs them.
func (d *demo) steps() []step {
	const fault = `[{"method": "POST", "path": "` + projectID + `/flexClusters", "kind": "status"}]`
	faults := "http://" + d.stack.AtlasAddress + "/sim/faults"
	billing := contract.ClusterWorkflowID(projectID, "billing")
	return []step{
		{"Make a cluster, and wait until it is IDLE.", "bin/starter " + provision},
		{"Break Atlas: it answers 503 to every create.", "curl -sS -d '" + fault + "' " + faults},
		{
			"Ask for another cluster. The run begins, and asks Atlas again and again.",
			"bin/starter provision-flex --project-id " + projectID +
				" --name billing --provider AWS --region US_EAST_1",
		},
		{"See what it waits for.", "bin/starter status " + billing},
		{
			"Mend Atlas. The same run goes on to its end.",
			"curl -sS -X DELETE " + faults + " && bin/starter watch " + billing,
		},
		{
			"Delete both clusters, and wait until they are gone.",
			"for name in orders billing; do bin/starter delete --project-id " + projectID +
				" --name $name --yes --wait; done",
		},
	}
}

// listURL is the Web UI's list of the runs of the project. The Web UI takes no columns from a URL: it keeps them in the
// browser.
func (d *demo) listURL() string {
	query := fmt.Sprintf("%s=%q", contract.SearchAttributeProjectID, projectID)
	return "http://" + d.uiAddress + "/namespaces/default/workflows?query=" + url.QueryEscape(query)
}

// guide says what a user can do with the stack.
func (d *demo) guide() string {
	var b strings.Builder
	fmt.Fprintf(&b, `
In another terminal, in this folder:

  export TEMPORAL_ADDRESS=%s

`, d.stack.TemporalAddress)
	for i, s := range d.steps() {
		fmt.Fprintf(&b, "  # %d. %s\n  %s\n\n", i+1, s.does, s.command)
	}
	fmt.Fprintf(&b, `Look at the runs meanwhile. The gear below the list adds the columns
%s and %s.

  %s
  bin/starter list

If the page stays blank: this Web UI is too old for Chrome 158 and later. Use
Firefox, or docker compose (docker-compose.yml), which has a newer one.

Upgrade the free cluster that is there from the start:

  bin/starter %s

A worker of your own, in a debugger say, needs this as well:

  export MONGODB_ATLAS_BASE_URL=http://%s
  export %s
  export %s

README.md shows how to change, adopt and upgrade clusters, docs/cli.md has the
other commands, and bin/atlas-sim -help what else can break.
Ctrl-C stops everything.
`, contract.SearchAttributeClusterName, contract.SearchAttributeClusterState, d.listURL(), upgradeToFlex,
		d.stack.AtlasAddress, d.stack.Credential[0], d.stack.Credential[1])
	return b.String()
}
