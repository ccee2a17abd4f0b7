// Package starter is the command line of atlas-provisioner: it starts, watches, inspects and cancels workflows, and
// needs no Atlas credentials.
package starter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/doctor"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/terminal"
	"github.com/atlas-provisioner/atlas-provisioner/internal/tracing"
	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// dialTimeout bounds the first contact with Temporal.
const dialTimeout = 5 * time.Second

// Run is the whole program.
func Run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return newApp(environ, stdin, stdout, stderr).run(ctx, args)
}

func newApp(environ []string, stdin io.Reader, stdout, stderr io.Writer) *app {
	a := &app{
		env: env.Env(environ), stdin: stdin, output: "text", version: version.String(),
		begun: time.Now(), now: time.Now, doctorLimit: doctor.DefaultLimit,
	}
	lookup := func(name string) string { return a.env.Get(name, "") }
	a.stdout, a.stderr = terminal.NewOutput(stdout, lookup), terminal.NewOutput(stderr, lookup)
	return a
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(append([]string{}, args...)) // for nil cobra takes the process's own
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if a.temporal != nil {
		a.temporal.Close()
	}
	code := a.exit(cmd, err)
	a.endTrace(code)
	if err := a.stdout.Err(); err != nil {
		a.printError(a.unwritten(err))
		return exitUnwritten
	}
	return code
}

// app is one run of the program.
type app struct {
	env            env.Env
	stdin          io.Reader
	stdout, stderr *terminal.Output
	output         string // text or json

	temporal client.Client
	options  client.Options
	payloads codec.Codec

	// now, version and doctorLimit are changed by tests only.
	now         func() time.Time
	version     string
	doctorLimit time.Duration

	begun   time.Time
	command string // such as "starter list"; "" while the shell completes
	tracing tracing.Config
	traces  *tracing.Tracing // nil until Temporal is dialled
	span    trace.Span       // of the command; nil where nothing is traced

	// followUp is the workflow whose id or end was printed; "" where there is none.
	followUp string
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "starter",
		Short: "Provision, change, upgrade and delete MongoDB Atlas clusters through Temporal",
		Long: `starter starts workflows that provision, change, upgrade and delete MongoDB Atlas
clusters, and follows, inspects and cancels them. A worker does the work and holds
the Atlas credentials; starter needs none. It finds Temporal by the environment,
which 'starter help environment' describes.

Exit codes:
  0    done
  1    the workflow ended otherwise
  2    usage or invalid input; nothing was started
  3    Temporal could not be reached
  4    standard output could not be written
  130  interrupted while waiting; the workflow goes on`,
		Example: `  starter provision-flex --project-id 32b6e34b3d91647abb20e7b8 --name orders \
    --provider AWS --region US_EAST_1 --wait
  starter provision-flex -f clusters.yaml --wait
  starter status atlas-cluster-32b6e34b3d91647abb20e7b8-orders
  starter delete --project-id 32b6e34b3d91647abb20e7b8 --name orders --wait
  starter list`,
		Version:       a.version,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkUTF8(cmd); err != nil {
				return err
			}
			if cmd.Name() != cobra.ShellCompRequestCmd && cmd.Name() != cobra.ShellCompNoDescRequestCmd {
				a.command = cmd.CommandPath()
			}
			if a.output != "text" && a.output != "json" {
				return usageError{fmt.Sprintf("--output must be text or json, got %q", a.output)}
			}
			return nil
		},
	}
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "text", "`FORMAT` of standard output: text or json")
	complete(root, "output", "text", "json")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		var own usageError
		if errors.As(err, &own) {
			return own
		}
		return usageError{err.Error()}
	})
	root.SetHelpCommand(helpCommand(root))
	for _, operation := range contract.Operations() {
		root.AddCommand(a.startCommand(operation))
	}
	root.AddCommand(a.statusCommand(), a.watch(), a.result(), a.cancel(), a.extend(), a.release(), a.list(), a.doctor(),
		environmentTopic())
	return root
}

// environmentTopic is a page of help, and no command.
func environmentTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "environment",
		Short: "The environment variables that starter reads",
		Long: "starter reads these variables of the environment. docs/configuration.md says more.\n\n" +
			strings.TrimSpace(env.Help(env.Starter)),
	}
}

// helpCommand differs from cobra's own in that it fails for an unknown command.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, _, err := root.Find(args)
			if err != nil {
				return refusedError{strings.TrimSpace(err.Error()) + seeHelp(root)}
			}
			cmd.InitDefaultHelpFlag()
			cmd.InitDefaultVersionFlag()
			return cmd.Help()
		},
	}
}

// checkUTF8 refuses flags that are no text. The names of files may be any bytes.
func checkUTF8(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if flag.Name != "file" && !utf8.ValidString(flag.Value.String()) && err == nil {
			err = usageError{"--" + flag.Name + " must be text in UTF-8"}
		}
	})
	return err
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
	return checkIDs(cmd, args)
}

// checkIDs refuses ids that Temporal's client cannot send.
func checkIDs(cmd *cobra.Command, ids []string) error {
	for _, id := range ids {
		if strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r > '~' }) {
			return usageError{
				fmt.Sprintf("%s takes a workflow id of printable ASCII characters, got %q", cmd.Name(), id),
			}
		}
	}
	return nil
}

var exampleID = contract.ClusterWorkflowID("32b6e34b3d91647abb20e7b8", "orders")

// readEnvironment reads what the environment says of Temporal, and refuses what means nothing.
func (a *app) readEnvironment() error {
	options, err := a.env.TemporalOptions()
	if err != nil {
		return refusedError{err.Error()}
	}
	if a.payloads, err = codec.FromEnv(a.env.LookupEnv); err != nil {
		return refusedError{err.Error()}
	}
	if a.tracing, err = tracing.ReadConfig(a.env); err != nil {
		return refusedError{err.Error()}
	}
	a.payloads.Configure(&options)
	options.Logger = log.NewStructuredLogger(discard)
	a.options = options
	return nil
}

// connect dials Temporal.
func (a *app) connect(ctx context.Context) (*provisioner.Client, error) {
	if err := a.readEnvironment(); err != nil {
		return nil, err
	}
	err := a.startTrace()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if a.temporal, err = client.DialContext(ctx, a.options); err != nil {
		return nil, err
	}
	options := provisioner.Options{TaskQueue: a.env.TaskQueue(), DataConverter: a.options.DataConverter}
	return provisioner.New(a.temporal, options), nil
}
