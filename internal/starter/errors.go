package starter

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/requestfile"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/terminal"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// The exit codes, which scripts rely on.
const (
	exitDone        = 0
	exitFailed      = 1   // the workflow ended otherwise
	exitUsage       = 2   // usage or invalid input; nothing was started
	exitUnreachable = 3   // Temporal could not be reached
	exitUnwritten   = 4   // standard output could not be written
	exitInterrupted = 130 // interrupted while waiting; the workflow goes on
)

// usageError is a mistake in the command line, which the help clears up.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

// refusedError is a request that cannot be carried out, well-formed as it is.
type refusedError struct{ message string }

func (e refusedError) Error() string { return e.message }

// exitError ends the program with a code and a message.
type exitError struct {
	code    int
	message string
}

func (e exitError) Error() string { return e.message }

// invalidFlags are flags that make a request which no workflow takes.
type invalidFlags struct {
	flags   *requestFlags
	failure *provisioner.Failure
}

func (e invalidFlags) Error() string { return e.flags.problems(e.failure.Details.Violations) }

// exit prints what went wrong, if the command has not, and answers the code.
func (a *app) exit(cmd *cobra.Command, err error) int {
	var (
		usage     usageError
		refused   refusedError
		end       exitError
		file      *requestfile.InvalidError
		flags     invalidFlags
		failure   *provisioner.Failure
		notFound  *serviceerror.NotFound
		invalid   *serviceerror.InvalidArgument
		encrypted *codec.DecodeError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &failure):
		a.printError(terminal.Clean(failure.Error()))
		if failure.State == "" || failure.Type == contract.RequestConflict {
			return exitUsage
		}
		return exitFailed
	case errors.As(err, &end):
		a.printError(end.message)
		return end.code
	case errors.As(err, &file):
		if a.output == "json" {
			a.printJSON(invalidAnswers(file))
		}
		a.printError(file.Error())
	case errors.As(err, &flags):
		if a.output == "json" {
			a.printJSON(answer{Failure: flags.failure})
		}
		a.printError(flags.Error())
	case errors.As(err, &usage):
		a.printError(usage.message + seeHelp(cmd))
	case errors.As(err, &refused):
		a.printError(refused.message)
	case errors.As(err, &encrypted):
		a.printError(encrypted.Error())
	case errors.As(err, &notFound):
		a.printError(
			fmt.Sprintf("Temporal knows no such workflow in namespace %q: %s. 'starter list' shows those there are",
				a.options.Namespace, notFound.Message))
	case a.options.HostPort == "": // cobra's own: an unknown command or a missing flag
		a.printError(strings.TrimSpace(err.Error()) + seeHelp(cmd))
	case cmd.Context().Err() != nil:
		a.printError("interrupted before Temporal answered. 'starter list' shows what runs")
		return exitInterrupted
	case errors.As(err, &invalid):
		a.printError(a.refusedByTemporal(invalid))
	case tooLarge(err):
		a.printError(tooLargeMessage)
	default:
		a.printError(unreachable(a.options, err))
		return exitUnreachable
	}
	return exitUsage
}

// invalidAnswers are what -o json prints of documents with mistakes: an answer each, in their order, with a failure
// where there is one.
func invalidAnswers(e *requestfile.InvalidError) answers {
	out := answers{Clusters: []answer{}}
	for _, d := range e.Documents {
		one := answer{}
		if d.Mistakes != nil {
			input := &contract.InputError{}
			for _, m := range d.Mistakes {
				input.Violations = append(input.Violations, m.Violation)
			}
			one.Failure = provisioner.Invalid(input)
		}
		out.Clusters = append(out.Clusters, one)
	}
	return out
}

func (a *app) refusedByTemporal(err *serviceerror.InvalidArgument) string {
	return fmt.Sprintf("Temporal at %s refuses the request: %s", a.options.HostPort, err.Message)
}

// tooLarge tells whether gRPC refused a message for its size.
func tooLarge(err error) bool {
	return status.Code(err) == codes.ResourceExhausted && strings.Contains(err.Error(), "larger than max")
}

const tooLargeMessage = "the request is too large for Temporal: make it smaller"

func seeHelp(cmd *cobra.Command) string { return "\nSee '" + cmd.CommandPath() + " --help'" }

// unreachable says what to look at when Temporal does not answer as it should.
func unreachable(o client.Options, err error) string {
	var namespace *serviceerror.NamespaceNotFound
	var denied *serviceerror.PermissionDenied
	switch {
	case errors.As(err, &namespace):
		return fmt.Sprintf("Temporal at %s has no namespace %q: set TEMPORAL_NAMESPACE", o.HostPort, o.Namespace)
	case errors.As(err, &denied):
		return fmt.Sprintf("Temporal at %s does not permit it (%v): check TEMPORAL_API_KEY and TEMPORAL_TLS_…",
			o.HostPort, err)
	}
	return fmt.Sprintf("Temporal could not be reached at %s: %v\nIs it running? Set TEMPORAL_ADDRESS to where it is",
		o.HostPort, err)
}

// unwritten says what can be done about output that is lost.
func (a *app) unwritten(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	message := fmt.Sprintf("standard output cannot be written: %v", err)
	if a.followUp != "" {
		return message + ". What it says can be read again with: starter status " + a.followUp
	}
	if a.temporal != nil {
		return message + ". 'starter list' shows what there is"
	}
	return message
}

func (a *app) printError(message string) {
	_, _ = a.stderr.Write([]byte(terminal.CleanLines("starter: "+message) + "\n"))
}
