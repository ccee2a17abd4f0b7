package starter

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// discard is for the SDK's log: what it has to say of a connection comes back
// as an error, which is printed.
var discard = slog.New(slog.DiscardHandler)

// answer is the one object that -o json prints.
type answer struct {
	WorkflowID string               `json:"workflowId"`
	RunID      string               `json:"runId"`
	Status     provisioner.State    `json:"status"`
	Result     any                  `json:"result,omitempty"`
	Failure    *provisioner.Failure `json:"failure,omitempty"`
	Progress   *progress            `json:"progress,omitempty"`
	// Deadline is when the time of a run is up that was extended.
	Deadline time.Time `json:"deadline,omitzero"`
}

func (a *app) printJSON(v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		a.printError("the result cannot be written as JSON: " + err.Error())
		return
	}
	_, _ = a.stdout.Write(escapeUnprintable(b.Bytes()))
}

// escapeUnprintable escapes what JSON allows in a string although some terminals obey it.
func escapeUnprintable(data []byte) []byte {
	if bytes.IndexFunc(data, unprintable) < 0 {
		return data
	}
	var b bytes.Buffer
	for _, r := range string(data) {
		if !unprintable(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, "\\u%04x", unit)
		}
	}
	return b.Bytes()
}

// unprintable tells the characters above the ASCII controls, which encoding/json escapes by itself.
func unprintable(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }

// printEnded is the summary for people of what a run ended with, or of a lease that has begun.
func (a *app) printEnded(run provisioner.Run, end provisioner.End) {
	if end.Lease == nil {
		a.printCluster(run, end.Cluster, end.Cluster.Outcome)
		return
	}
	a.printCluster(run, end.Cluster, end.Lease.Outcome)
	if leased := end.Lease.LeasedAt; !leased.IsZero() {
		a.stdout.Printf("%-10s from %s to %s\n", "Leased", timeText(leased), timeText(end.Lease.ReleasedAt))
	}
}

func timeText(t time.Time) string { return t.UTC().Format("15:04:05 UTC on 2006-01-02") }

func (a *app) printCluster(run provisioner.Run, c contract.Cluster, outcome contract.Outcome) {
	row := func(name, value string) {
		if value != "" {
			a.stdout.Printf("%-10s %s\n", name, value)
		}
	}
	name, state := c.Name, c.StateName
	if c.ClusterType != "" {
		name = fmt.Sprintf("%s (%s, MongoDB %s)", c.Name, c.ClusterType, c.MongoDBVersion)
	}
	gone := c.StateName == contract.StateDeleted
	if gone {
		state = "gone"
	}
	row("Cluster", fmt.Sprintf("%s is %s: %s", name, state, outcome))
	if !gone { // the addresses of a cluster that is gone lead nowhere
		row("Connect", cmp.Or(c.ConnectionStrings.StandardSrv, c.ConnectionStrings.Standard))
	}
	row("Where", strings.TrimSpace(c.ProviderSettings.Place()+" "+c.ProviderSettings.InstanceSizeName))
	if outcome == contract.Updated {
		row("Tags", cmp.Or(tagsText(c.Tags), "none"))
		row("Protected", map[bool]string{true: "yes", false: "no"}[c.TerminationProtectionEnabled])
	}
	row("Id", c.ID)
	row("Workflow", run.WorkflowID)
	row("Web UI", a.webUI(run.WorkflowID, run.RunID))
	for _, w := range c.Warnings {
		row("Warning", w)
	}
}

// webUI is the page of a run in the Temporal Web UI, "" where it is not known where that is: TEMPORAL_UI_URL says so,
// and otherwise a local server is the dev server and a Temporal Cloud address has the cloud's.
func (a *app) webUI(workflowID, runID string) string {
	host, _, err := net.SplitHostPort(a.options.HostPort)
	if err != nil {
		host = a.options.HostPort
	}
	base := a.env.Get("TEMPORAL_UI_URL", "")
	ip := net.ParseIP(host)
	switch {
	case base != "":
	case host == "localhost", ip != nil && ip.IsLoopback():
		base = "http://localhost:8233"
	case strings.HasSuffix(host, ".tmprl.cloud"), strings.HasSuffix(host, ".api.temporal.io"):
		base = "https://cloud.temporal.io"
	default:
		return ""
	}
	return strings.TrimRight(base, "/") + "/namespaces/" + url.PathEscape(a.options.Namespace) +
		"/workflows/" + url.PathEscape(workflowID) + "/" + url.PathEscape(runID) + "/history"
}
