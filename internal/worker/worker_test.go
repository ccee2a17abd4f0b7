package worker

import (
	"context"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
)

// output is the exit code and output of a program that has ended.
type output struct {
	code           int
	stdout, stderr string
}

func run(t *testing.T, environ []string, args ...string) output {
	t.Helper()
	var stdout, stderr logs
	code := Run(t.Context(), args, environ, &stdout, &stderr)
	return output{code, stdout.String(), stderr.String()}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	out := run(t, nil, "--help")
	require.Equal(t, 0, out.code)
	require.Empty(t, out.stderr)
	testenv.Golden(t, "worker.txt", out.stdout)
	require.Equal(t, out, run(t, nil, "-h"))
	require.Equal(t, out, run(t, nil, "help"))
	require.Equal(t, output{stdout: "worker " + version.Version + "\n"}, run(t, nil, "--version"))
	for _, args := range [][]string{{"start"}, {"--bogus"}, {"--version", "x"}, {"healthcheck", "a", "b"}, {""}} {
		require.Equal(t,
			output{code: 2, stderr: `worker: "` + strings.Join(args, " ") + "\" is not known\n\n" + out.stdout},
			run(t, nil, args...))
	}
}

// The worker reports an environment that it cannot use before it connects to anything.
func TestBadEnvironment(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dialled := make(chan bool, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_ = conn.Close()
		}
		dialled <- err == nil
	}()
	out := run(t, []string{
		"TEMPORAL_ADDRESS=" + listener.Addr().String(), "MONGODB_ATLAS_BASE_URL=http://" + listener.Addr().String(),
		"TEMPORAL_CONFIG_FILE=" + os.DevNull, "WORKER_HTTP_ADDRESS=8080", "LOG_LEVEL=loud",
	})
	require.NoError(t, listener.Close())
	require.False(t, <-dialled)
	require.Equal(t, output{code: 2, stderr: `worker: the environment cannot be used:
no Atlas credential is set: set MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_CLIENT_SECRET, or ` +
		`MONGODB_ATLAS_PUBLIC_API_KEY and MONGODB_ATLAS_PRIVATE_API_KEY, or MONGODB_ATLAS_ACCESS_TOKEN
WORKER_HTTP_ADDRESS must be host:port or :port, with a port from 0 to 65535, got "8080"
LOG_LEVEL must be debug, info, warn or error, got "loud"
`}, out)
}

// The log tells in one line why a worker cannot start.
func TestCannotStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { taken.Close() })
	for _, test := range []struct {
		name, env, want string
		linesBefore     int // lines before it
	}{
		{"no Temporal", "TEMPORAL_ADDRESS=127.0.0.1:1",
			`no answer from Temporal at 127.0.0.1:1 (TEMPORAL_ADDRESS): failed reaching server: connection error: ` +
				`desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`, 0},
		{"no namespace", "TEMPORAL_NAMESPACE=nowhere",
			`the worker cannot start in namespace "nowhere" (TEMPORAL_NAMESPACE): failed reaching server: ` +
				`Namespace nowhere is not found.`, 2},
		{"address in use", "WORKER_HTTP_ADDRESS=" + taken.Addr().String(),
			"WORKER_HTTP_ADDRESS cannot be served at: listen tcp " + taken.Addr().String() + ": bind: address " +
				"already in use", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{}, "WORKER_HTTP_ADDRESS=", test.env)
			var l logs
			require.Equal(t, 1, Run(s.ctx(), nil, s.env, &l, &l))
			lines := l.lines(t)
			require.Len(t, lines, test.linesBefore+1)
			require.Equal(t, map[string]any{"level": "error", "msg": "The worker ended", "error": test.want},
				lines[test.linesBefore])
		})
	}
}

// A worker that is told to stop ends within the bound, whatever it is doing, and its workflows go on running.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		sim   atlassim.Config
		asked string // what is under way
	}{
		{"nothing", atlassim.Config{}, ""},
		{"a wait", atlassim.Config{CreateFor: atlassim.Duration(time.Hour)}, "GET"},
		{"a hanging create", atlassim.Config{Faults: []atlassim.Fault{{Kind: atlassim.FaultHang, Method: "POST"}}},
			"POST"},
		{"a hanging look",
			atlassim.Config{CreateFor: atlassim.Duration(time.Hour),
				Faults: []atlassim.Fault{{Kind: atlassim.FaultHang, Method: "GET"}}}, "GET"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, test.sim)
			p := s.run()
			var id string
			if test.asked != "" {
				id = s.start().WorkflowID
				s.asked(test.asked)
			}
			code, took := p.end()
			require.Equal(t, 0, code)
			require.Less(t, took, stopBound)
			p.logs.line(t, "The worker has stopped")
			if test.asked != "" {
				status, err := s.client.Status(s.ctx(), id, "")
				require.NoError(t, err)
				require.Equal(t, "RUNNING", string(status.State))
			}
		})
	}
}

// A stopping worker reports a create that Atlas answers in time.
func TestStopLetsACreateFinish(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{
		Faults: []atlassim.Fault{{Kind: atlassim.FaultHang, Hang: atlassim.Duration(time.Second), Method: "POST"}},
	})
	p := s.run()
	id := s.start().WorkflowID
	s.asked("POST")
	code, _ := p.end()
	require.Equal(t, 0, code)
	var events []string
	for i := s.on.Client().GetWorkflowHistory(s.ctx(), id, "", false,
		enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); i.HasNext(); {
		event, err := i.Next()
		require.NoError(t, err)
		events = append(events, event.GetEventType().String())
	}
	require.Contains(t, events, "ActivityTaskCompleted")
}

// A worker stops within the bound although Temporal does not answer.
func TestStopWhileTemporalIsSilent(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		sim   atlassim.Config
		asked string // what is under way
	}{
		{"nothing", atlassim.Config{}, ""},
		{"a wait", atlassim.Config{CreateFor: atlassim.Duration(time.Hour)}, "GET"},
		{"a hanging create", atlassim.Config{Faults: []atlassim.Fault{{Kind: atlassim.FaultHang, Method: "POST"}}},
			"POST"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, test.sim)
			proxy := newSilentProxy(t, s.on.Address())
			s.env = append(s.env, "TEMPORAL_ADDRESS="+proxy.address)
			p := s.run()
			if test.asked != "" {
				s.start()
				s.asked(test.asked)
			}
			proxy.silent.Store(true)
			code, took := p.end()
			require.Equal(t, 0, code)
			require.Less(t, took, stopBound)
			require.Equal(t, "warn",
				p.logs.line(t,
					"The worker ends without Temporal's answer: what was under way goes on once its heartbeat is "+
						"missed")["level"])
		})
	}
}

// silentProxy forwards connections to a server, and can stop forwarding without closing them.
type silentProxy struct {
	address string
	silent  atomic.Bool
}

func newSilentProxy(t *testing.T, to string) *silentProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	l := &silentProxy{address: listener.Addr().String()}
	carry := func(from, to net.Conn) {
		defer to.Close()
		defer from.Close()
		for buf := make([]byte, 32<<10); ; {
			n, err := from.Read(buf)
			if err == nil && !l.silent.Load() {
				_, err = to.Write(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				return
			}
			go carry(near, far)
			go carry(far, near)
		}
	}()
	return l
}

// A worker that is told to stop before it has started ends without an error.
func TestStopBeforeTheStart(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	ctx, cancel := context.WithCancel(s.ctx())
	cancel()
	var l logs
	require.Equal(t, 0, Run(ctx, nil, s.env, &l, &l))
	require.Empty(t, l.String())
}
