package starter

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/terminal"
)

// confirmation is a question before what cannot be undone.
type confirmation struct {
	command string
	// effects say what would be done, after "starter is about to".
	effects []string
	// refused says what was not done where the answer is not yes.
	refused string
}

// confirm asks on the terminal. It fails where the answer is not yes, and where there is no terminal to ask on.
func (a *app) confirm(ctx context.Context, question confirmation) error {
	if !terminal.IsTerminal(a.stdin) || !a.stderr.IsTerminal() {
		return usageError{fmt.Sprintf("%s: %s asks on a terminal, and there is none. "+
			"Give --yes to go on without being asked", question.refused, question.command)}
	}
	a.stderr.Printf("starter is about to\n")
	for _, effect := range question.effects {
		a.stderr.Printf("  %s\n", effect)
	}
	a.stderr.Printf("Go on? [y/N] ")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(io.LimitReader(a.stdin, 100)).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		a.stderr.Printf("\n")
		return exitError{exitInterrupted, "interrupted before an answer; " + question.refused}
	case text := <-answer:
		if text == "y" || text == "yes" {
			return nil
		}
		return exitError{exitUsage, question.refused + ": the answer was not yes"}
	}
}
