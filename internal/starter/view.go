package starter

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// showMany shows the progress of many until stop is called: as a live table on
// a terminal, and elsewhere as a plain line for each change. One list tells of
// a hundred of them.
func (a *app) showMany(ctx context.Context, c *provisioner.Client, all []*outcome, mu *sync.Mutex) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	v := view{a: a, shown: make([]string, len(all)), at: time.Now()}
	plural := "s"
	if len(all) == 1 {
		plural = ""
	}
	fmt.Fprintf(a.stderr, "Following %d workflow%s\n", len(all), plural)
	go func() {
		defer close(done)
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		for ctx.Err() == nil {
			look(ctx, c, all, mu)
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

// look reads how those that run stand, a hundred at a time. What cannot be read
// now is read the next time.
func look(ctx context.Context, c *provisioner.Client, all []*outcome, mu *sync.Mutex) {
	var running []*outcome
	mu.Lock()
	for _, o := range all {
		if !o.ended() {
			running = append(running, o)
		}
	}
	mu.Unlock()
	for len(running) > 0 {
		some := running[:min(len(running), 100)]
		running = running[len(some):]
		var ids []string
		byID := map[string]*outcome{}
		for _, o := range some {
			ids = append(ids, "'"+o.run.RunID+"'")
			byID[o.run.RunID] = o
		}
		runs, err := c.List(ctx, "RunId IN ("+strings.Join(ids, ",")+")", len(some))
		if err != nil {
			return
		}
		mu.Lock()
		for _, s := range runs {
			if o := byID[s.RunID]; o != nil && !o.ended() {
				o.status = s
			}
		}
		mu.Unlock()
	}
}

// view is what standard error shows of many.
type view struct {
	a     *app
	lines int       // of the live table, as it is now
	shown []string  // of each, the plain line that was printed last
	at    time.Time // when a plain line was printed last
}

func (v *view) paint(all []*outcome, now time.Time) {
	width, height, live := v.a.screen(v.a.stderr)
	height = cmp.Or(height, 24)
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
	lines := append(v.a.table(v.a.stderr, width, runs, now), cut(counts(all), width))
	// What has ended gives way where there is no room, and then what is last.
	for i := len(all); i > 0 && len(lines) >= height; i-- {
		if all[i-1].ended() {
			lines = append(lines[:i], lines[i+1:]...)
		}
	}
	if room := height - 1; len(lines) > room && room > 1 {
		lines = append(lines[:room-1], lines[len(lines)-1])
	}
	var b strings.Builder
	v.rewind(&b)
	for _, line := range lines {
		b.WriteString(line + "\033[K\n")
	}
	b.WriteString("\033[J")
	fmt.Fprint(v.a.stderr, b.String())
	v.lines = len(lines)
}

// rewind goes back to the first line of the table.
func (v *view) rewind(b *strings.Builder) {
	if v.lines > 0 {
		fmt.Fprintf(b, "\r\033[%dA", v.lines)
	}
}

func (v *view) plain(all []*outcome, now time.Time) {
	for i, o := range all {
		line := o.status.WorkflowID + ": " + string(o.status.State)
		if o.status.ClusterState != "" {
			line += ", " + o.status.ClusterState
		}
		if line != v.shown[i] && !o.refused() && o.err == nil {
			fmt.Fprintln(v.a.stderr, line)
			v.shown[i], v.at = line, now
		}
	}
	if now.Sub(v.at) > repeatEvery {
		fmt.Fprintln(v.a.stderr, counts(all))
		v.at = now
	}
}

// end wipes the live table, or prints the plain lines that are still due.
func (v *view) end(all []*outcome) {
	if _, _, live := v.a.screen(v.a.stderr); !live {
		v.plain(all, v.at)
		return
	}
	var b strings.Builder
	v.rewind(&b)
	fmt.Fprint(v.a.stderr, b.String()+"\033[J")
}

// counts says how many there are in each state.
func counts(all []*outcome) string {
	var running, completed, failed int
	for _, o := range all {
		switch {
		case o.result != nil:
			completed++
		case o.ended():
			failed++
		default:
			running++
		}
	}
	return fmt.Sprintf("%d running, %d completed, %d failed", running, completed, failed)
}
