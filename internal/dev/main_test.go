//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
)

// outcome is what a run of the program left.
type outcome struct {
	code           int
	stdout, stderr string
}

// runInBackground runs the program; the returned function waits for its outcome.
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
		want := fmt.Sprintf("dev: want one command, demo or up; got %q\n\n%s", args, usage)
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
	for _, want := range []string{provision, upgrade, update, enlarge, remove} {
		starter := h.accept("starter")
		if starter.args != want {
			t.Errorf("starter %s, want %s", starter.args, want)
		}
		starter.tell("exit 0")
	}
	// A program is asked to stop once the one that was started after it has ended.
	worker.awaitStop()
	atlas.awaitStop()
	temporal.awaitStop()
	check(t, end(), 0, []string{
		"bin/starter " + provision + "\n", "bin/starter " + upgrade + "\n", "bin/starter " + update + "\n",
		"bin/starter " + enlarge + "\n", "bin/starter " + remove + "\n",
		"/namespaces/default/workflows/atlas-cluster-" + projectID + "-orders\n",
		"Starting temporal…\n", "An upgrade takes the simulator about 10 seconds.\n",
		"All workflows succeeded. To look around: make up\n",
	}, nil)
}

func TestStarterFails(t *testing.T) {
	h := newHub(t)
	end := runInBackground(t.Context(), "demo")
	temporal, atlas, worker := h.accept("temporal"), h.accept("atlas-sim"), h.accept("worker")
	h.accept("starter").tell("exit 3")
	worker.awaitStop()
	atlas.awaitStop()
	temporal.awaitStop()
	check(t, end(), 1, []string{"boom from starter"}, []string{
		"bin/starter failed (exit status 3). As for the worker: ", "the worker's log", "All logs are in ",
	})
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
				c.awaitStop()
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
	starter.awaitStop()
	atlas.awaitStop()
	temporal.awaitStop()
	check(t, end(), 1, nil, []string{"worker ended unexpectedly (exit status 3)", "boom from worker"})
}

func TestMissingProgram(t *testing.T) {
	h := newHub(t)
	must(t, os.Remove("bin/atlas-sim"))
	end := runInBackground(t.Context(), "demo")
	h.accept("temporal").awaitStop()
	check(t, end(), 1, nil, []string{"bin/atlas-sim is missing; run make build first"})
}

func TestInterruptedDemo(t *testing.T) {
	h := newHub(t)
	ctx, interrupt := context.WithCancel(t.Context())
	end := runInBackground(ctx, "demo")
	temporal, atlas, worker := h.accept("temporal"), h.accept("atlas-sim"), h.accept("worker")
	starter := h.accept("starter")
	interrupt()
	starter.awaitStop()
	worker.awaitStop()
	atlas.awaitStop()
	temporal.awaitStop()
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
		"  # 1. Make a cluster, and wait until it is IDLE.\n  bin/starter " + provision + "\n", "  # 5. ",
		"/namespaces/default/workflows?query=AtlasProjectId%3D%22" + projectID + "%22\n", "  bin/starter list\n",
		"  # 6. Delete both clusters, ", "If the page stays blank: ", "  bin/starter " + upgradeToFlex + "\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	interrupt()
	worker.awaitStop()
	atlas.awaitStop()
	temporal.awaitStop()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d, want 0", got)
	}
}

func TestKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends the programs of a program that is killed")
	}
	h := newHub(t)
	dev := exec.Command("bin/dev", "demo")
	must(t, dev.Start())
	temporal, atlas, worker := h.accept("temporal"), h.accept("atlas-sim"), h.accept("worker")
	starter := h.accept("starter")
	must(t, dev.Process.Kill())
	for _, c := range []*child{starter, worker, atlas, temporal} {
		c.awaitEnd()
	}
	if err := dev.Wait(); err == nil {
		t.Error("bin/dev was killed and succeeded")
	}
}

func TestStopKillsTheWholeGroup(t *testing.T) {
	h := newHub(t)
	p, err := process.Start(exec.Command("bin/worker"))
	must(t, err)
	stubborn := h.accept("worker") // never told to exit
	stubborn.tell("start a child")
	grandchild := h.accept("grandchild")
	p.Stop(time.Millisecond)
	stubborn.awaitEnd()
	grandchild.awaitEnd()
	if status := p.Cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended by %v, want SIGKILL", status.Signal())
	}
}

func TestEndOfProgramEndsItsGroup(t *testing.T) {
	h := newHub(t)
	p, err := process.Start(exec.Command("bin/worker"))
	must(t, err)
	leader := h.accept("worker")
	leader.tell("start a child")
	grandchild := h.accept("grandchild")
	leader.tell("exit 0")
	<-p.Done
	grandchild.awaitEnd()
}

func TestEnvironment(t *testing.T) {
	d, err := newDemo([]string{
		"HOME=/home/me", "LOG_LEVEL=debug",
		"TEMPORAL_PROFILE=production", "TEMPORAL_API_KEY=secret", "MONGODB_ATLAS_CLIENT_ID=real",
	}, io.Discard, io.Discard)
	must(t, err)
	defer os.RemoveAll(d.stack.Folder)
	inherited := []string{"HOME=/home/me", "LOG_LEVEL=debug", "TEMPORAL_UI_URL=http://" + d.uiAddress}
	ours := []string{
		"TEMPORAL_ADDRESS=" + d.stack.TemporalAddress, "TEMPORAL_CONFIG_FILE=/dev/null",
		"MONGODB_ATLAS_BASE_URL=http://" + d.stack.AtlasAddress,
	}
	if want := slices.Concat(inherited, ours); !slices.Equal(d.stack.Command("starter").Env, want) {
		t.Errorf("the starter gets %q, want %q", d.stack.Command("starter").Env, want)
	}
	want := slices.Concat(inherited, ours, d.stack.Credential)
	if got := d.stack.WorkerCommand("worker").Env; !slices.Equal(got, want) {
		t.Errorf("the worker gets %q, want %q", got, want)
	}
}

func TestAddressPrefix(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:7233": "",
		"127.0.0.1:4000": "TEMPORAL_ADDRESS=127.0.0.1:4000 ",
	} {
		d := &demo{stack: &stack.Stack{TemporalAddress: address}}
		if got := d.addressPrefix(); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
