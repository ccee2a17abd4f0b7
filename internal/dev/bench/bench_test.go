//go:build unix

package main

import (
	"bytes"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

func TestBars(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value   float64
		bar     *bar
		met     bool
		text    string
		verdict string
	}{
		{60, atMost(60), true, "≤ 60", "yes"},
		{60.5, atMost(60), false, "≤ 60", "**no**"},
		{0.85, atLeast(0.85), true, "≥ 0.85", "yes"},
		{0.84, atLeast(0.85), false, "≥ 0.85", "**no**"},
		{20, exactly(20), true, "= 20", "yes"},
		{19, exactly(20), false, "= 20", "**no**"},
		{math.NaN(), atMost(1), false, "≤ 1", "**no**"},
		{math.NaN(), atLeast(1), false, "≥ 1", "**no**"},
		{1e9, nil, true, "", ""},
	} {
		f := figure{Value: test.value, Bar: test.bar}
		require.Equal(t, test.met, f.met(), "%v %v", test.value, test.bar)
		require.Equal(t, test.text, f.bar())
		require.Equal(t, test.verdict, f.verdict())
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]string{
		0: "0", 2: "2", 1.994: "1.99", 0.0123456: "0.0123", 99.96: "100", 123.4: "123", 12345.6: "12346",
	} {
		require.Equal(t, want, number(value))
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	require.Equal(t, 2.0, median([]float64{3, 1, 2}))
	require.Equal(t, 2.0, median([]float64{4, 1, 3, 2}))
	list := make([]float64, 200)
	for i := range list {
		list[i] = float64(i + 1)
	}
	require.Equal(t, 198.0, quantile(list, 0.99))
	require.Equal(t, 200.0, quantile(list, 1))
	require.Equal(t, 1.0, quantile(list[:1], 0.99))
}

func TestFleet(t *testing.T) {
	t.Parallel()
	groups := func(clusters []cluster) (out string) {
		names := map[cluster]bool{}
		for _, c := range clusters {
			require.NoError(t, contract.Validate(c.input(), "id"))
			require.False(t, names[c])
			names[c] = true
			out += c.groupID[len(c.groupID)-1:]
		}
		return out
	}
	require.Equal(t, "000111", groups(fleetInBlocks(6, 2)))
	require.Equal(t, "010101", groups(fleetRoundRobin(6, 2)))
	require.Equal(t, "00112", groups(fleetInBlocks(5, 3)))
}

// A result that was measured before stays in the report when another scenario is measured anew.
func TestReport(t *testing.T) {
	t.Parallel()
	docs := t.TempDir()
	measured := map[string]result{
		"fleet-20": {
			Scenario: "fleet-20", At: time.Date(2026, 11, 24, 1, 2, 0, 0, time.UTC), Seconds: 40,
			Machine: machines{CPU: "CPU", Cores: 2},
			Figures: []figure{
				{Name: "HTTP requests", Value: 61, Bar: atMost(60)},
				{Name: "delay", Value: 0.5, Unit: "s"},
			},
		},
		"delay": {Scenario: "delay", Error: "no run has completed."},
		"waits": {
			Scenario: "waits",
			Tables:   []table{{Columns: []string{"waits", "CPU"}, Rows: [][]string{{"100", "0.1"}}}},
			Plots: []chart{{
				File: "waits-cpu", Title: "CPU", LogX: true,
				Lines: []line{{Name: "CPU", Points: [][2]float64{{100, 0.1}, {1000, 0.2}}}},
			}},
		},
	}
	require.NoError(t, save(docs, measured))
	var out bytes.Buffer
	require.Equal(t, exitOK, program(t.Context(), []string{"-render", "-docs", docs}, &out, &out), "%s", &out)
	report, err := os.ReadFile(filepath.Join(docs, "benchmarks.md"))
	require.NoError(t, err)
	for _, want := range []string{
		"| HTTP requests | 61 | ≤ 60 | **no** | `make bench ONLY=fleet-20` |\n",
		"| delay | 0.5 s |  |  |\n",
		"- 2 cores of CPU, , ; , Temporal SDK , ; atlas-provisioner : fleet-20 (2026-11-24 01:02 UTC)\n",
		"| " + delay.title + " | could not be measured |  | **no** | `make bench ONLY=delay` |\n",
		"It could not be measured: no run has completed.\n",
		"## 10,000 waits on one worker\n",
		"| waits | CPU |\n|---|---|\n| 100 | 0.1 |\n",
		"![CPU](benchmarks/waits-cpu.svg)\n",
	} {
		require.Contains(t, string(report), want)
	}
	require.NotContains(t, string(report), throughput.title)
	svg, err := os.ReadFile(filepath.Join(docs, "benchmarks", "waits-cpu.svg"))
	require.NoError(t, err)
	require.Contains(t, string(svg), "</svg>")
	again, err := load(docs)
	require.NoError(t, err)
	require.Equal(t, measured, again)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ args, want string }{
		{"-only fleet", "benchmark: there is no scenario \"fleet\": " +
			"choose of throughput, fleet-20, requests, changes, delay, upgrade, history, waits\n"},
		{"fleet-20", "benchmark: everything is a flag, and -scale is more than 0\n"},
		{"-scale 0", "benchmark: everything is a flag, and -scale is more than 0\n"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, exitUsage, program(t.Context(), strings.Fields(test.args), &out, &errs))
		require.Equal(t, test.want, errs.String())
		require.Empty(t, out.String())
	}
}

// The writes of several services under one name are added, and reads are left out.
func TestWrites(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`# TYPE persistence_requests counter
persistence_requests{namespace="default",operation="UpdateWorkflowExecution",service_name="history"} 3
persistence_requests{namespace="system",operation="UpdateWorkflowExecution",service_name="history"} 2
persistence_requests{namespace="default",operation="GetWorkflowExecution",service_name="history"} 9
# TYPE visibility_persistence_requests counter
visibility_persistence_requests{operation="RecordWorkflowExecutionStarted"} 1
visibility_persistence_requests{operation="CountWorkflowExecutions"} 8
`))
	}))
	t.Cleanup(server.Close)
	d := &deployment{serverMetrics: strings.TrimPrefix(server.URL, "http://")}
	writes, err := d.serverWrites(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"UpdateWorkflowExecution": 5, "RecordWorkflowExecutionStarted": 1}, writes)
}
