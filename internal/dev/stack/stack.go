//go:build unix

// Package stack runs Temporal, the Atlas simulator and workers as processes on this machine: for the demo, the chaos
// campaign and the benchmarks. It knows only the programs, as a user does.
package stack

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
)

// Stack is the programs that run, and what they are told. The fields may be changed before the first program starts.
type Stack struct {
	// Folder holds what the programs write: logs, databases and configuration. New makes it; the caller removes it.
	Folder string
	// Bin is the folder of worker, starter and atlas-sim.
	Bin string
	// TemporalCLI is the path of the temporal program.
	TemporalCLI string

	// TemporalAddress and AtlasAddress are where Temporal's frontend and the simulator listen: free ports, by default.
	TemporalAddress, AtlasAddress string

	// Env is the environment of every program; by default HOME, which is Folder, and PATH.
	Env []string
	// Credential holds the environment variables of the worker's Atlas credential.
	Credential []string

	// Ended is called when a program ends that nobody stopped; nil for nothing.
	Ended func(error)

	mu         sync.Mutex
	programs   []*program // in the order in which they were first started
	connection client.Client
}

// program is one that runs until it is stopped.
type program struct {
	name    string
	process *process.Process // nil once it is killed
}

// New returns a stack with a folder and addresses of its own.
func New(bin, temporalCLI string) (*Stack, error) {
	addresses, err := process.FreeAddresses("", "")
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "atlas-provisioner-")
	if err != nil {
		return nil, err
	}
	return &Stack{
		Folder: folder, Bin: bin, TemporalCLI: temporalCLI,
		TemporalAddress: addresses[0], AtlasAddress: addresses[1],
		Env: []string{"HOME=" + folder, "PATH=" + os.Getenv("PATH")},
	}, nil
}

// Path is the path of a file in the stack's folder.
func (s *Stack) Path(name string) string { return filepath.Join(s.Folder, name) }

// Log is the path of a program's log.
func (s *Stack) Log(name string) string { return s.Path(name + ".log") }

// Program is the path of one of our own programs.
func (s *Stack) Program(name string) string { return filepath.Join(s.Bin, name) }

// Command runs a program that finds this Temporal and this Atlas.
func (s *Stack) Command(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Env = append(slices.Clone(s.Env),
		"TEMPORAL_ADDRESS="+s.TemporalAddress,
		"TEMPORAL_CONFIG_FILE="+os.DevNull,
		"MONGODB_ATLAS_BASE_URL=http://"+s.AtlasAddress)
	return cmd
}

// Client is the stack's connection to Temporal. It outlives restarts of the server, and is closed by Stop.
func (s *Stack) Client() (client.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connection == nil {
		c, err := client.NewLazyClient(client.Options{HostPort: s.TemporalAddress, Logger: noLog})
		if err != nil {
			return nil, err
		}
		s.connection = c
	}
	return s.connection, nil
}

// noLog drops what the SDK logs about a server that is down.
var noLog = log.NewStructuredLogger(slog.New(slog.DiscardHandler))

// Stop closes the connection to Temporal, and stops the programs in the reverse order of their start.
func (s *Stack) Stop() {
	s.mu.Lock()
	programs := s.programs
	s.programs = nil
	if s.connection != nil {
		s.connection.Close()
	}
	s.mu.Unlock()
	for _, p := range slices.Backward(programs) {
		if p.process != nil {
			p.process.Stop(process.StopGrace)
		}
	}
}
