package starter

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/terminal"
)

// confirm asks on the terminal before requests are started that cannot be undone, and says what each would do. It fails
// where the answer is not yes, and where there is no terminal to ask on.
func (a *app) confirm(ctx context.Context, v verb, requests []contract.Request) error {
	operation := requests[0].Operation()
	if !terminal.IsTerminal(a.stdin) || !a.stderr.IsTerminal() {
		return usageError{fmt.Sprintf("nothing was started: %s asks on a terminal, and there is none. "+
			"Give --yes to go on without being asked", operation.Command)}
	}
	a.stderr.Printf("starter is about to\n")
	for _, r := range requests {
		a.stderr.Printf("  %s\n", v.describe(r))
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
		return exitError{exitInterrupted, "interrupted before an answer; nothing was started"}
	case text := <-answer:
		if text == "y" || text == "yes" {
			return nil
		}
		return exitError{exitUsage, "nothing was started: the answer was not yes"}
	}
}
