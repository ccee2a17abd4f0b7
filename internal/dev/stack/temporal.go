//go:build unix

package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	nexuspb "go.temporal.io/api/nexus/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
)

// Part is a part of a Temporal server that can be killed by itself.
type Part string

// The parts of a Temporal server. A dev server is its own database.
const (
	TemporalServer Part = "Temporal server"
	Database       Part = "PostgreSQL"
)

// Temporal is a Temporal server with its database, whose data outlives every restart.
type Temporal interface {
	// Start starts it with the namespace "default", the contract's search attributes and the endpoint of the worker's
	// Nexus service, and returns when it answers.
	Start(ctx context.Context) error
	// Restart kills a part of it with SIGKILL, and starts that part again.
	Restart(ctx context.Context, part Part) error
}

// temporalLog is the name under which the server runs and logs.
const temporalLog = "temporal"

// DevServer is Temporal's dev server.
type DevServer struct {
	Stack *Stack
	// Args are added to those of the stack, such as --headless. Without --db-filename nothing outlives a restart.
	Args []string
}

// Start starts the dev server.
func (d DevServer) Start(ctx context.Context) error {
	host, port, err := net.SplitHostPort(d.Stack.TemporalAddress)
	if err != nil {
		return err
	}
	args := []string{"server", "start-dev", "--ip", host, "--port", port}
	for _, name := range searchAttributes {
		args = append(args, "--search-attribute", name+"=Keyword")
	}
	cmd := d.Stack.Command(d.Stack.TemporalCLI, append(args, d.Args...)...)
	if err := d.Stack.Start(ctx, temporalLog, cmd, d.Stack.hasSearchAttributes); err != nil {
		return err
	}
	return d.Stack.createNexusEndpoint(ctx)
}

// createNexusEndpoint lets workflows of other namespaces call the worker's Nexus service.
func (s *Stack) createNexusEndpoint(ctx context.Context) error {
	c, err := s.Client()
	if err != nil {
		return err
	}
	request := &operatorservice.CreateNexusEndpointRequest{
		Spec: &nexuspb.EndpointSpec{
			Name: contract.NexusService,
			Target: &nexuspb.EndpointTarget{Variant: &nexuspb.EndpointTarget_Worker_{
				Worker: &nexuspb.EndpointTarget_Worker{
					Namespace: client.DefaultNamespace, TaskQueue: contract.TaskQueue,
				},
			}},
		},
	}
	// The client may not have found yet that a server that was restarted answers again.
	ctx, cancel := context.WithTimeout(ctx, nexusEndpointTime)
	defer cancel()
	var last error
	err = process.Poll(ctx, func(ctx context.Context) bool {
		var exists *serviceerror.AlreadyExists
		_, last = c.OperatorService().CreateNexusEndpoint(ctx, request)
		return last == nil || errors.As(last, &exists)
	})
	if err != nil {
		return fmt.Errorf("the Nexus endpoint was not made: %w", errors.Join(err, last))
	}
	return nil
}

// nexusEndpointTime is how long a server that is up may take to make the endpoint.
const nexusEndpointTime = 30 * time.Second

// Restart kills the dev server and starts it again.
func (d DevServer) Restart(ctx context.Context, part Part) error {
	if part != TemporalServer {
		return fmt.Errorf("a dev server has no part %q", part)
	}
	d.Stack.Kill(temporalLog)
	return d.Start(ctx)
}

var searchAttributes = []string{
	contract.SearchAttributeProjectID, contract.SearchAttributeClusterName, contract.SearchAttributeClusterState,
}

// hasSearchAttributes asks for what the dev server sets up last.
func (s *Stack) hasSearchAttributes(ctx context.Context) bool {
	c, err := client.DialContext(ctx, client.Options{HostPort: s.TemporalAddress, Logger: noLog})
	if err != nil {
		return false
	}
	defer c.Close()
	answer, err := c.OperatorService().ListSearchAttributes(ctx,
		&operatorservice.ListSearchAttributesRequest{Namespace: client.DefaultNamespace})
	if err != nil {
		return false
	}
	for _, name := range searchAttributes {
		if _, ok := answer.GetCustomAttributes()[name]; !ok {
			return false
		}
	}
	return true
}

// answers asks whether a Temporal server answers, whatever its namespaces are.
func (s *Stack) answers(ctx context.Context) bool {
	c, err := client.DialContext(ctx, client.Options{HostPort: s.TemporalAddress, Logger: noLog})
	if err != nil {
		return false
	}
	c.Close()
	return true
}
