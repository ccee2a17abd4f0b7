package monitoring

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const deploy = "../../../deploy/monitoring"

// metrics are the labels of each metric that dashboard and alerts may use. TestMetrics of internal/worker compares the
// file with what a worker serves.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{"up": nil} // Prometheus's own
	for line := range strings.Lines(read(t, "../../../internal/worker/testdata/metrics.txt")) {
		fields := strings.Fields(line)
		all[fields[0]] = fields[1:]
	}
	return all
}

// checkQuery reports what is wrong with a query.
func checkQuery(t *testing.T, where, query string, known map[string][]string) {
	t.Helper()
	for _, variable := range []string{"$__rate_interval", "$__range"} { // Grafana's
		query = strings.ReplaceAll(query, variable, "5m")
	}
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	used := 0
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			used++
			has, ok := known[n.Name]
			if base, histogram := strings.CutSuffix(n.Name, "_bucket"); !ok && histogram {
				has, ok = known[base]
				has = append(slices.Clone(has), "le")
			}
			if !ok {
				t.Errorf("%s: no worker serves %s", where, n.Name)
			}
			for _, m := range n.LabelMatchers {
				if !slices.Contains(append(has, targetLabels...), m.Name) {
					t.Errorf("%s: %s has no label %s", where, n.Name, m.Name)
				}
				if m.Name == "outcome" {
					checkOutcomes(t, where, m)
				}
			}
		case *parser.AggregateExpr:
			for _, label := range n.Grouping {
				if !anyHas(known, label) {
					t.Errorf("%s: by %s, which no metric has", where, label)
				}
			}
		}
		return nil
	})
	if used == 0 {
		t.Errorf("%s: %s uses no metric", where, query)
	}
}

// checkOutcomes reports the outcomes of runs that ended well which a selection by outcome leaves out: whether it is for
// them or for failures, it means all of them.
func checkOutcomes(t *testing.T, where string, m *labels.Matcher) {
	t.Helper()
	isFor := m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp
	for _, outcome := range outcomes(t) {
		if m.Matches(outcome) != isFor {
			t.Errorf("%s: %s forgets %s", where, m, outcome)
		}
	}
}

// outcomes are those of all results, by their schemas.
func outcomes(t *testing.T) (all []string) {
	t.Helper()
	files, _ := filepath.Glob("../../../contract/schema/*.json")
	for _, file := range files {
		var schema struct {
			Properties struct {
				Outcome struct {
					Enum []string `json:"enum"`
				} `json:"outcome"`
			} `json:"properties"`
		}
		if err := json.Unmarshal([]byte(read(t, file)), &schema); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, schema.Properties.Outcome.Enum...)
	}
	if len(all) == 0 {
		t.Fatal("no schema has outcomes")
	}
	return all
}

// targetLabels are those that Prometheus gives to every series that it scrapes.
var targetLabels = []string{model.MetricNameLabel, "job", "instance"}

func anyHas(known map[string][]string, label string) bool {
	if label == "le" || slices.Contains(targetLabels, label) {
		return true
	}
	for _, has := range known {
		if slices.Contains(has, label) {
			return true
		}
	}
	return false
}

func TestDashboards(t *testing.T) {
	known := metrics(t)
	files, _ := filepath.Glob(deploy + "/grafana/dashboards/*.json")
	if len(files) == 0 {
		t.Fatal("there is no dashboard")
	}
	for _, file := range files {
		var dashboard struct {
			UID    string `json:"uid"`
			Panels []struct {
				ID      int    `json:"id"`
				Type    string `json:"type"`
				Title   string `json:"title"`
				GridPos struct{ X, Y, W, H int }
				Targets []struct {
					Expr string `json:"expr"`
				} `json:"targets"`
			} `json:"panels"`
		}
		if err := json.Unmarshal([]byte(read(t, file)), &dashboard); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if dashboard.UID == "" {
			t.Errorf("%s has no uid: links to it would change", file)
		}
		ids := map[int]bool{}
		for _, panel := range dashboard.Panels {
			if ids[panel.ID] {
				t.Errorf("%s: panel %q has the id of another", file, panel.Title)
			}
			ids[panel.ID] = true
			if panel.GridPos.X+panel.GridPos.W > 24 {
				t.Errorf("%s: panel %q is beyond the right edge", file, panel.Title)
			}
			if panel.Type != "row" && len(panel.Targets) == 0 {
				t.Errorf("%s: panel %q has no query", file, panel.Title)
			}
			for _, q := range panel.Targets {
				checkQuery(t, panel.Title, q.Expr, known)
			}
		}
	}
}

func TestAlerts(t *testing.T) {
	known := metrics(t)
	tests, docs := read(t, deploy+"/alerts_test.yml"), read(t, "../../../docs/operations.md")
	const ignoreUnknownFields = false
	groups, errs := rulefmt.Parse([]byte(read(t, deploy+"/alerts.yml")), ignoreUnknownFields, model.UTF8Validation,
		parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			checkQuery(t, rule.Alert, rule.Expr, known)
			if !slices.Contains([]string{"page", "ticket"}, rule.Labels["severity"]) {
				t.Errorf("%s: severity is %q, want page or ticket", rule.Alert, rule.Labels["severity"])
			}
			for _, name := range []string{"summary", "description"} {
				if rule.Annotations[name] == "" {
					t.Errorf("%s has no %s", rule.Alert, name)
				}
			}
			if !strings.Contains(docs, "| `"+rule.Alert+"`: ") {
				t.Errorf("docs/operations.md does not name %s", rule.Alert)
			}
			if !strings.Contains(tests, rule.Alert) {
				t.Errorf("alerts_test.yml has no test that fires %s", rule.Alert)
			}
		}
	}
}

func TestMetricsAreDocumented(t *testing.T) {
	docs := read(t, "../../../docs/operations.md")
	for name := range metrics(t) {
		if strings.HasPrefix(name, "atlas_") && !strings.Contains(docs, "`"+name+"`") {
			t.Errorf("docs/operations.md does not name %s", name)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
