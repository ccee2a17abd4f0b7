//go:build unix

package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/procfs"
)

// sample is what the worker and the server have used at a moment.
type sample struct {
	at     time.Time
	worker usage
	writes map[string]float64 // of the server, by operation
}

func (d *deployment) takeSample(ctx context.Context) (s sample, err error) {
	if s.worker, err = d.workerUsage(); err != nil {
		return s, err
	}
	s.at = time.Now()
	s.writes, err = d.serverWrites(ctx)
	return s, err
}

// measureQuietly measures while nothing starts and nothing ends.
func (d *deployment) measureQuietly(ctx context.Context, w *waitFigures, window time.Duration) (
	from, to time.Time, err error,
) {
	before, err := d.takeSample(ctx)
	if err != nil {
		return from, to, err
	}
	if err := sleep(ctx, window); err != nil {
		return from, to, err
	}
	after, err := d.takeSample(ctx)
	if err != nil {
		return from, to, err
	}
	w.window = after.at.Sub(before.at).Seconds()
	w.cpu = (after.worker.cpu - before.worker.cpu) / w.window
	w.operations = map[string]float64{}
	for operation, count := range after.writes {
		if more := count - before.writes[operation]; more > 0 {
			w.operations[operation] = more / w.window
			w.writes += more / w.window
		}
	}
	return before.at, after.at, nil
}

// usage is what the worker has used.
type usage struct {
	cpu            float64 // seconds
	resident, peak float64 // MiB
}

func (d *deployment) workerUsage() (usage, error) {
	p, err := procfs.NewProc(d.stack.Process(workerName).Cmd.Process.Pid)
	if err != nil {
		return usage{}, fmt.Errorf("the worker has ended or this system has no /proc: %w", err)
	}
	stat, err := p.Stat()
	if err != nil {
		return usage{}, err
	}
	status, err := p.NewStatus()
	const mebibyte = 1 << 20
	return usage{
		cpu: stat.CPUTime(), resident: float64(status.VmRSS) / mebibyte, peak: float64(status.VmHWM) / mebibyte,
	}, err
}

// readOperations begin the names of the persistence operations that write nothing.
var readOperations = []string{"Get", "List", "Read", "Count", "Scan", "Assert"}

func isRead(operation string) bool {
	return slices.ContainsFunc(readOperations, func(prefix string) bool { return strings.HasPrefix(operation, prefix) })
}

// serverWrites are the Temporal server's requests to its database that write, by operation, since it started.
func (d *deployment) serverWrites(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.serverMetrics+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("the metrics of the Temporal server: %w", err)
	}
	writes := map[string]float64{}
	for _, family := range []string{"persistence_requests", "visibility_persistence_requests"} {
		for _, m := range families[family].GetMetric() {
			if operation := operationOf(m); operation != "" && !isRead(operation) {
				writes[operation] += m.GetCounter().GetValue()
			}
		}
	}
	return writes, nil
}

func operationOf(m *dto.Metric) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == "operation" {
			return l.GetValue()
		}
	}
	return ""
}
