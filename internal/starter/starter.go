// Package starter is the command line of atlas-provisioner: it starts, watches,
// inspects and cancels workflows, and needs no Atlas credentials.
package starter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// The exit codes, which scripts rely on.
const (
	exitDone        = 0
	exitFailed      = 1   // the workflow ended otherwise
	exitUsage       = 2   // usage or invalid input; nothing was started
	exitUnreachable = 3   // Temporal could not be reached
	exitInterrupted = 130 // interrupted while waiting; the workflow goes on
)

// dialTimeout bounds the first contact with Temporal.
const dialTimeout = 5 * time.Second

// Run is the whole program.
func Run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{env: env.Env(environ), stdin: stdin, stdout: stdout, stderr: stderr, output: "text"}
	root := a.root()
	root.SetArgs(append([]string{}, args...)) // for nil cobra takes the process's own
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if a.temporal != nil {
		a.temporal.Close()
	}
	return a.exit(cmd, err)
}

// app is one run of the program.
type app struct {
	env            env.Env
	stdin          io.Reader
	stdout, stderr io.Writer
	output         string // text or json

	temporal client.Client
	options  client.Options
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "starter",
		Short: "Provision and upgrade MongoDB Atlas clusters through Temporal",
		Long: `starter starts workflows that provision or upgrade MongoDB Atlas clusters, and
follows, inspects and cancels them. A worker does the work and holds the Atlas
credentials; starter needs none.

It finds Temporal as Temporal's own tools do: TEMPORAL_ADDRESS (default
localhost:7233), TEMPORAL_NAMESPACE (default "default"), TEMPORAL_API_KEY,
TEMPORAL_TLS…, or a profile by TEMPORAL_PROFILE and TEMPORAL_CONFIG_FILE.
TEMPORAL_TASK_QUEUE (default atlas-provisioning) is the worker's, and so are
TEMPORAL_PAYLOAD_KEYS or TEMPORAL_PAYLOAD_KEYS_FILE where payloads are encrypted.
TEMPORAL_UI_URL is where the Web UI is, for the links that starter prints.

Exit codes:
  0    done
  1    the workflow ended otherwise
  2    usage or invalid input; nothing was started
  3    Temporal could not be reached
  130  interrupted while waiting; the workflow goes on`,
		Example: `  starter provision-flex --project-id 32b6e34b3d91647abb20e7b8 --name orders \
    --provider AWS --region US_EAST_1 --wait
  starter provision-flex -f clusters.yaml --wait
  starter status atlas-cluster-32b6e34b3d91647abb20e7b8-orders
  starter list`,
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.output != "text" && a.output != "json" {
				return usageError{fmt.Sprintf("--output must be text or json, got %q", a.output)}
			}
			return nil
		},
	}
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "text", "`FORMAT` of standard output: text or json")
	complete(root, "output", "text", "json")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err.Error()} })
	root.SetHelpCommand(helpCommand(root))
	root.AddCommand(a.provisionFlex(), a.upgradeToServerless(),
		a.statusCommand(), a.watch(), a.result(), a.cancel(), a.list())
	return root
}

// helpCommand differs from cobra's own in that it fails for an unknown command.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, _, err := root.Find(args)
			if err != nil {
				return refusal{strings.TrimSpace(err.Error()) + seeHelp(root)}
			}
			cmd.InitDefaultHelpFlag()
			cmd.InitDefaultVersionFlag()
			return cmd.Help()
		},
	}
}

// noArgs takes none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Sprintf("%s takes flags only, got %q", cmd.Name(), args[0])}
	}
	return nil
}

// workflowIDArg takes exactly one workflow id.
func workflowIDArg(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usageError{fmt.Sprintf("%s takes one workflow id, such as %s", cmd.Name(), exampleID)}
	}
	return nil
}

var exampleID = contract.ClusterWorkflowID("32b6e34b3d91647abb20e7b8", "orders")

// connect dials Temporal.
func (a *app) connect(ctx context.Context) (*provisioner.Client, error) {
	var err error
	if a.options, err = a.env.TemporalOptions(); err != nil {
		return nil, refusal{err.Error()}
	}
	payloads, err := codec.FromEnv(a.env.LookupEnv)
	if err != nil {
		return nil, refusal{err.Error()}
	}
	payloads.Configure(&a.options)
	a.options.Logger = log.NewStructuredLogger(discard)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if a.temporal, err = client.DialContext(ctx, a.options); err != nil {
		return nil, err
	}
	return provisioner.New(a.temporal, provisioner.Options{TaskQueue: a.env.TaskQueue(), DataConverter: a.options.DataConverter}), nil
}

// usageError is a mistake in the command line, which the help clears up.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

// refusal is a request that cannot be carried out, well-formed as it is.
type refusal struct{ message string }

func (e refusal) Error() string { return e.message }

// ending is an end with a code and a word on it.
type ending struct {
	code    int
	message string
}

func (e ending) Error() string { return e.message }

// exit prints what went wrong, if the command has not, and answers the code.
func (a *app) exit(cmd *cobra.Command, err error) int {
	var (
		usage    usageError
		refused  refusal
		end      ending
		file     invalidFile
		failure  *provisioner.Failure
		notFound *serviceerror.NotFound
		invalid  *serviceerror.InvalidArgument
		sealed   *codec.DecodeError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &failure):
		return a.failed(failure)
	case errors.As(err, &end):
		a.complain(end.message)
		return end.code
	case errors.As(err, &file):
		if a.output == "json" {
			a.printJSON(file.answers())
		}
		a.complain(file.Error())
		return exitUsage
	case errors.As(err, &usage):
		a.complain(usage.message + seeHelp(cmd))
		return exitUsage
	case errors.As(err, &refused):
		a.complain(refused.message)
		return exitUsage
	case errors.As(err, &sealed):
		a.complain(sealed.Error())
		return exitUsage
	case errors.As(err, &notFound):
		a.complain(fmt.Sprintf("Temporal knows no such workflow in namespace %q: %s. 'starter list' shows those there are", a.options.Namespace, notFound.Message))
		return exitUsage
	case a.options.HostPort == "": // cobra's own: an unknown command or a missing flag
		a.complain(strings.TrimSpace(err.Error()) + seeHelp(cmd))
		return exitUsage
	case cmd.Context().Err() != nil:
		a.complain("interrupted before Temporal answered. 'starter list' shows what runs")
		return exitInterrupted
	case errors.As(err, &invalid):
		a.complain(fmt.Sprintf("Temporal at %s refuses the request: %s", a.options.HostPort, invalid.Message))
		return exitUsage
	}
	a.complain(unreachable(a.options, err))
	return exitUnreachable
}

func seeHelp(cmd *cobra.Command) string { return "\nSee '" + cmd.CommandPath() + " --help'" }

// unreachable says what to look at when Temporal does not answer as it should.
func unreachable(o client.Options, err error) string {
	var namespace *serviceerror.NamespaceNotFound
	var denied *serviceerror.PermissionDenied
	switch {
	case errors.As(err, &namespace):
		return fmt.Sprintf("Temporal at %s has no namespace %q: set TEMPORAL_NAMESPACE", o.HostPort, o.Namespace)
	case errors.As(err, &denied):
		return fmt.Sprintf("Temporal at %s does not permit it (%v): check TEMPORAL_API_KEY and TEMPORAL_TLS_…", o.HostPort, err)
	}
	return fmt.Sprintf("Temporal could not be reached at %s: %v\nIs it running? Set TEMPORAL_ADDRESS to where it is", o.HostPort, err)
}

// failed prints a failure and answers the code: a request that was refused
// before it started is the caller's to mend.
func (a *app) failed(f *provisioner.Failure) int {
	code := exitFailed
	message := f.Error()
	if f.State == "" || f.Type == contract.RequestConflict {
		code = exitUsage
	}
	if f.State == "" && f.Type == contract.InvalidInput {
		message = inFlags(f)
	}
	if a.output == "json" && f.State == "" {
		a.printJSON(answer{Failure: f})
	}
	a.complain(message)
	return code
}

// inFlags names the flags rather than the fields of the input.
func inFlags(f *provisioner.Failure) string {
	flags := map[string]string{
		"groupId": "--project-id", "name": "--name",
		"providerSettings.backingProviderName": "--provider", "providerSettings.regionName": "--region",
	}
	var b strings.Builder
	b.WriteString("nothing was started:")
	for _, v := range f.Details.Violations {
		var tag int
		var part string
		switch n, _ := fmt.Sscanf(v.Field, "tags[%d].%s", &tag, &part); {
		case v.Field == "ownershipTag": // only with a --name that is too long
		case v.Field == "timeoutSeconds":
			b.WriteString("\n  --timeout must be from 1s to 24h")
		case n == 2:
			fmt.Fprintf(&b, "\n  --tag number %d: the %s %s", tag+1, part, v.Problem)
		default:
			b.WriteString("\n  " + flags[v.Field] + " " + v.Problem)
		}
	}
	return b.String()
}

func (a *app) complain(message string) { fmt.Fprintln(a.stderr, "starter: "+message) }
