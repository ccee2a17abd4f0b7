package starter

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/terminal"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// showMany shows the progress of many until stop is called: as a live table on a terminal, and elsewhere as a plain
// line for each change. One list tells of a hundred of them.
func (a *app) showMany(ctx context.Context, c *provisioner.Client, all []*outcome, mu *sync.Mutex) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	v := a.newView(len(all))
	plural := "s"
	if len(all) == 1 {
		plural = ""
	}
	a.stderr.Printf("Following %d workflow%s\n", len(all), plural)
	go func() {
		defer close(done)
		ticker := time.NewTicker(refreshInterval)
		defer ticker.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			refresh(ctx, c, all, mu)
			refreshBlockers(ctx, c, all, mu, n)
			mu.Lock()
			v.paint(all, time.Now())
			mu.Unlock()
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
		mu.Lock()
		defer mu.Unlock()
		v.end(all)
	}()
	return func() {
		cancel()
		<-done
	}
}

// running are those that have not ended.
func running(all []*outcome, mu *sync.Mutex) (out []*outcome) {
	mu.Lock()
	defer mu.Unlock()
	for _, o := range all {
		if !o.ended() {
			out = append(out, o)
		}
	}
	return out
}

// refresh reads how those that run stand, a hundred at a time. What cannot be read now is read the next time.
func refresh(ctx context.Context, c *provisioner.Client, all []*outcome, mu *sync.Mutex) {
	waiting := running(all, mu)
	for len(waiting) > 0 {
		some := waiting[:min(len(waiting), 100)]
		waiting = waiting[len(some):]
		var ids []string
		byID := map[string]*outcome{}
		mu.Lock()
		for _, o := range some {
			ids = append(ids, "'"+o.run.RunID+"'")
			byID[o.run.RunID] = o
		}
		mu.Unlock()
		runs, err := c.List(ctx, "RunId IN ("+strings.Join(ids, ",")+")", len(some))
		if err != nil {
			return
		}
		mu.Lock()
		for _, s := range runs {
			if o := byID[s.RunID]; o != nil && !o.ended() && o.run.RunID == s.RunID {
				s.Blocker = o.status.Blocker
				o.status = s
			}
		}
		mu.Unlock()
	}
}

// describedAtOnce bounds how many of many runs are described each time.
const describedAtOnce = 10

// refreshBlockers reads what holds up some of those that run, others each time, since a list does not tell.
func refreshBlockers(ctx context.Context, c *provisioner.Client, all []*outcome, mu *sync.Mutex, round int) {
	waiting := running(all, mu)
	for i := range min(len(waiting), describedAtOnce) {
		o := waiting[(round*describedAtOnce+i)%len(waiting)]
		mu.Lock()
		run := o.run
		mu.Unlock()
		s, err := c.Status(ctx, run.WorkflowID, run.RunID)
		if err != nil {
			return
		}
		mu.Lock()
		if !o.ended() && o.run == run {
			o.status.Blocker = s.Blocker
		}
		mu.Unlock()
	}
}

// view is what standard error shows of many.
type view struct {
	output *terminal.Output
	table  *terminal.Region
	shown  []string  // the plain line of each that was printed last
	at     time.Time // when a plain line was printed last
}

func (a *app) newView(n int) *view {
	return &view{output: a.stderr, table: terminal.NewRegion(a.stderr), shown: make([]string, n), at: time.Now()}
}

func (v *view) paint(all []*outcome, now time.Time) {
	width, height, live := v.output.Size()
	if !live {
		v.plain(all, now)
		return
	}
	runs := make([]provisioner.Status, len(all))
	for i, o := range all {
		runs[i] = o.status
		state, _ := o.line(true)
		runs[i].State = provisioner.State(state)
	}
	lines := append(v.output.Lines(runTable(runs, width, now)), terminal.Cut(summary(all), width))
	if blocked := blockedLine(all); blocked != "" {
		lines = append(lines, terminal.Cut(terminal.Clean(blocked), width))
	}
	v.table.Paint(fit(lines, all, cmp.Or(height, 24)))
}

// fit leaves out lines of a table that is higher than the terminal: first what has ended, then what is last. The head
// of the table and what follows the rows stay.
func fit(lines []string, all []*outcome, height int) []string {
	foot := len(lines) - 1 - len(all)
	for i := len(all); i > 0 && len(lines) >= height; i-- {
		if all[i-1].ended() {
			lines = append(lines[:i], lines[i+1:]...)
		}
	}
	if room := height - 1; len(lines) > room && room > foot {
		lines = append(lines[:room-foot], lines[len(lines)-foot:]...)
	}
	return lines
}

func (v *view) plain(all []*outcome, now time.Time) {
	for i, o := range all {
		line := o.status.WorkflowID + ": " + string(o.status.State)
		if o.status.ClusterState != "" {
			line += ", " + o.status.ClusterState
		}
		if b := o.status.Blocker; b != nil && !o.ended() {
			line += ": " + b.Message
		}
		if line != v.shown[i] && !o.refused() && o.err == nil {
			v.output.Printf("%s\n", line)
			v.shown[i], v.at = line, now
		}
	}
	if now.Sub(v.at) > repeatInterval {
		v.output.Printf("%s\n", summary(all))
		v.at = now
	}
}

// end erases the live table, or prints the plain lines that are still due.
func (v *view) end(all []*outcome) {
	if _, _, live := v.output.Size(); live {
		v.table.Erase()
		return
	}
	v.plain(all, v.at)
}

// summary says how many there are in each state.
func summary(all []*outcome) string {
	n := countOutcomes(all)
	return fmt.Sprintf("%d running, %d completed, %d failed", n.running, n.completed, n.failed+n.refused+n.unknown)
}

// blockedLine says what holds up the first of those that are held up, and how many there are.
func blockedLine(all []*outcome) string {
	var first string
	n := 0
	for _, o := range all {
		if b := o.status.Blocker; b != nil && !o.ended() {
			if n++; n == 1 {
				first = b.Message
			}
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d held up: %s", n, first)
}
