//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/process"
)

// outcome is what a run of devstack left.
type outcome struct {
	code           int
	stdout, stderr string
}

// runInBackground runs devstack; the returned function waits for its outcome.
func runInBackground(ctx context.Context, args ...string) func() outcome {
	done := make(chan outcome)
	go func() {
		var stdout, stderr bytes.Buffer
		code := run(ctx, args, os.Environ(), &stdout, &stderr)
		done <- outcome{code, stdout.String(), stderr.String()}
	}()
	return func() outcome { return <-done }
}

func check(t *testing.T, got outcome, code int, wantStdout, wantStderr []string) {
	t.Helper()
	if got.code != code {
		t.Errorf("exit code %d, want %d", got.code, code)
	}
	for _, want := range wantStdout {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("stdout lacks %q", want)
		}
	}
	for _, want := range wantStderr {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("stderr lacks %q", want)
		}
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || (code != 1 && len(left) > 0) {
		t.Errorf("logs are left behind: %v %v", left, err)
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", got.stdout, got.stderr)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"down"}, {"demo", "up"}, {"-h"}} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, nil, &stdout, &stderr); code != 2 {
			t.Errorf("%q: exit code %d, want 2", args, code)
		}
		want := fmt.Sprintf("devstack: want one command, demo or up; got %q\n\n%s", args, usage)
		if stderr.String() != want || stdout.Len() > 0 {
			t.Errorf("%q: stdout %q, stderr %q", args, &stdout, &stderr)
		}
	}
}

func TestDemo(t *testing.T) {
	h := newHub(t)
	end := runInBackground(t.Context(), "demo")
	temporal, atlas, worker := h.accept("temporal"), h.accept("atlas-sim"), h.accept("worker")
	if want := "-seed-shared " + projectID + "/legacy"; !strings.HasSuffix(atlas.args, want) {
		t.Errorf("atlas-sim %s, want %s", atlas.args, want)
	}
	for _, want := range []string{provision, upgrade} {
		starter := h.accept("starter")
		if starter.args != want {
			t.Errorf("starter %s, want %s", starter.args, want)
		}
		starter.tell("exit 0")
	}
	// None is asked to stop before the one after it is gone.
	worker.stops()
	atlas.stops()
	temporal.stops()
	check(t, end(), 0, []string{
		"bin/starter " + provision + "\n", "bin/starter " + upgrade + "\n",
		"/namespaces/default/workflows/atlas-cluster-" + projectID + "-orders\n",
		"Starting temporal…\n", "An upgrade takes the simulator about 20 seconds.\n",
		"Both workflows succeeded. To look around: make up\n",
	}, nil)
}

func TestStarterFails(t *testing.T) {
	h := newHub(t)
	end := runInBackground(t.Context(), "demo")
	temporal, atlas, worker := h.accept("temporal"), h.accept("atlas-sim"), h.accept("worker")
	h.accept("starter").tell("exit 3")
	worker.stops()
	atlas.stops()
	temporal.stops()
	check(t, end(), 1, []string{"boom from starter"}, []string{"bin/starter failed (exit status 3). As for the worker: ", "the worker's log", "All logs are in "})
}

func TestProgramDies(t *testing.T) {
	names := []string{"temporal", "atlas-sim", "worker"}
	for i, dying := range names {
		t.Run(dying, func(t *testing.T) {
			h := newHub(t)
			end := runInBackground(t.Context(), "up")
			var earlier []*child
			for _, name := range names[:i] {
				earlier = append(earlier, h.accept(name))
			}
			h.acceptUnready(dying).tell("exit 3")
			for _, c := range slices.Backward(earlier) {
				c.stops()
			}
			check(t, end(), 1, nil, []string{dying + " ended unexpectedly (exit status 3)", "    boom from " + dying})
		})
	}
}

func TestWorkerDiesDuringDemo(t *testing.T) {
	h := newHub(t)
	end := runInBackground(t.Context(), "demo")
	temporal, atlas, worker := h.accept("temporal"), h.accept("atlas-sim"), h.accept("worker")
	starter := h.accept("starter")
	worker.tell("exit 3")
	starter.stops()
	atlas.stops()
	temporal.stops()
	check(t, end(), 1, nil, []string{"worker ended unexpectedly (exit status 3)", "boom from worker"})
}

func TestMissingProgram(t *testing.T) {
	h := newHub(t)
	must(t, os.Remove("bin/atlas-sim"))
	end := runInBackground(t.Context(), "demo")
	h.accept("temporal").stops()
	check(t, end(), 1, nil, []string{"bin/atlas-sim is missing; run make build first"})
}

func TestInterruptedDemo(t *testing.T) {
	h := newHub(t)
	ctx, interrupt := context.WithCancel(t.Context())
	end := runInBackground(ctx, "demo")
	temporal, atlas, worker := h.accept("temporal"), h.accept("atlas-sim"), h.accept("worker")
	starter := h.accept("starter")
	interrupt()
	starter.stops()
	worker.stops()
	atlas.stops()
	temporal.stops()
	check(t, end(), 130, nil, []string{"Interrupted; stopping everything."})
}

func TestUp(t *testing.T) {
	h := newHub(t)
	ctx, interrupt := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	code := make(chan int)
	go func() {
		code <- run(ctx, []string{"up"}, os.Environ(), writer, io.Discard)
	}()
	said := make(chan string)
	go func() {
		var all bytes.Buffer
		buf := make([]byte, 4096)
		for !strings.Contains(all.String(), "Ctrl-C stops everything.") {
			n, _ := reader.Read(buf)
			all.Write(buf[:n])
		}
		said <- all.String()
	}()
	temporal, atlas, worker := h.accept("temporal"), h.accept("atlas-sim"), h.accept("worker")
	text := <-said
	for _, want := range []string{
		"export TEMPORAL_ADDRESS=127.0.0.1:", "export MONGODB_ATLAS_BASE_URL=http://127.0.0.1:",
		"bin/starter " + provision, "bin/starter list",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	interrupt()
	worker.stops()
	atlas.stops()
	temporal.stops()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d, want 0", got)
	}
}

func TestKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends the programs of a devstack that is killed")
	}
	h := newHub(t)
	devstack := exec.Command("bin/devstack", "demo")
	must(t, devstack.Start())
	temporal, atlas, worker := h.accept("temporal"), h.accept("atlas-sim"), h.accept("worker")
	starter := h.accept("starter")
	must(t, devstack.Process.Kill())
	for _, c := range []*child{starter, worker, atlas, temporal} {
		c.gone()
	}
	if err := devstack.Wait(); err == nil {
		t.Error("devstack was killed and succeeded")
	}
}

func TestStopKillsTheWholeGroup(t *testing.T) {
	h := newHub(t)
	p, err := process.Start(exec.Command("bin/worker"))
	must(t, err)
	stubborn := h.accept("worker") // never told to exit
	stubborn.tell("have a child")
	grandchild := h.accept("grandchild")
	p.Stop(time.Millisecond)
	stubborn.gone()
	grandchild.gone()
	if status := p.Cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended by %v, want SIGKILL", status.Signal())
	}
}

func TestEndOfProgramEndsItsGroup(t *testing.T) {
	h := newHub(t)
	p, err := process.Start(exec.Command("bin/worker"))
	must(t, err)
	leader := h.accept("worker")
	leader.tell("have a child")
	grandchild := h.accept("grandchild")
	leader.tell("exit 0")
	<-p.Done
	grandchild.gone()
}

func TestChildEnv(t *testing.T) {
	s := &stack{temporal: "127.0.0.1:7", ui: "127.0.0.1:6", atlas: "127.0.0.1:8", worker: "127.0.0.1:9", publicKey: "pub", privateKey: "priv"}
	got := s.childEnv([]string{
		"HOME=/home/me", "LOG_LEVEL=debug",
		"TEMPORAL_PROFILE=production", "TEMPORAL_API_KEY=secret", "MONGODB_ATLAS_CLIENT_ID=real",
	})
	want := []string{
		"HOME=/home/me", "LOG_LEVEL=debug",
		"TEMPORAL_ADDRESS=127.0.0.1:7", "TEMPORAL_CONFIG_FILE=/dev/null", "TEMPORAL_UI_URL=http://127.0.0.1:6",
		"MONGODB_ATLAS_BASE_URL=http://127.0.0.1:8",
		"MONGODB_ATLAS_PUBLIC_API_KEY=pub", "MONGODB_ATLAS_PRIVATE_API_KEY=priv",
		"WORKER_HTTP_ADDRESS=127.0.0.1:9", "LOG_FORMAT=console",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestFreePorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	_, taken, _ := net.SplitHostPort(l.Addr().String())
	got, err := process.FreePorts(taken, taken)
	must(t, err)
	if got[0] == taken || got[1] == taken || got[0] == got[1] {
		t.Errorf("%s is taken, and we got %q", taken, got)
	}
}

func TestPrefix(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:7233": "",
		"127.0.0.1:4000": "TEMPORAL_ADDRESS=127.0.0.1:4000 ",
	} {
		if got := (&stack{temporal: address}).prefix(); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}

func TestTail(t *testing.T) {
	path := t.TempDir() + "/log"
	must(t, os.WriteFile(path, []byte(strings.Repeat("old\n", 30)+strings.Repeat("new\n", 20)), 0o600))
	if got := process.Tail(path); strings.Contains(got, "old") || strings.Count(got, "new") != 20 {
		t.Error(got)
	}
}
