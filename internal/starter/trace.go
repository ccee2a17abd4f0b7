package starter

import (
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/terminal"
	"github.com/atlas-provisioner/atlas-provisioner/internal/tracing"
)

// startTrace starts the span of the command, under which the calls of Temporal have theirs. Completions have none.
func (a *app) startTrace() (err error) {
	if a.command == "" {
		return nil
	}
	nobody := func(error) {} // the end of the trace tells what was not sent
	if a.traces, err = tracing.New(a.tracing, "atlas-provisioner-starter", nobody); err != nil {
		return refusedError{err.Error()}
	}
	a.span = a.traces.StartCommand(a.command, a.begun)
	a.options.Interceptors, err = a.traces.Interceptors(a.span)
	return err
}

// endTrace sends the trace. What becomes of it changes nothing but a line on standard error.
func (a *app) endTrace(exitCode int) {
	if a.span == nil {
		return
	}
	tracing.EndCommand(a.span, exitCode)
	if err := a.traces.Close(); err != nil {
		a.printError(terminal.Clean(err.Error()))
	}
}
