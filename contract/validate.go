package contract

import (
	"fmt"
	"strings"
)

// Violation is one field of an input that is wrong, and how.
type Violation struct {
	Field   string `json:"field"`
	Problem string `json:"problem"`
}

func (v Violation) String() string { return v.Field + " " + v.Problem }

// InputError says everything that is wrong with an input. It is what becomes the failure [InvalidInput].
type InputError struct{ Violations []Violation }

// Error names every field that is wrong.
func (e *InputError) Error() string {
	all := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		all[i] = v.String()
	}
	return "invalid input: " + strings.Join(all, "; ") +
		". Nothing was sent to Atlas: correct the input and start the workflow again"
}

// maxViolations is as many as anybody reads, and keeps a failure well within what Temporal takes.
const maxViolations = 50

func inputError(violations []Violation) error {
	if len(violations) == 0 {
		return nil
	}
	if more := len(violations) - maxViolations; more > 0 {
		violations = append(violations[:maxViolations], Violation{"input", fmt.Sprintf("has %d more mistakes", more)})
	}
	return &InputError{Violations: violations}
}

// shorten keeps of a text as much as anybody reads.
func shorten(s string) string {
	const most = 100
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
