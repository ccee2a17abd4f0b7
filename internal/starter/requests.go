package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// invalidFile is a file of which nothing was started.
type invalidFile struct{ documents []*document }

// Error names every mistake, by file, line and document.
func (e invalidFile) Error() string {
	var b strings.Builder
	b.WriteString("nothing was started:")
	for _, d := range e.documents {
		for _, m := range d.wrong {
			b.WriteString("\n  " + d.file)
			if line := cmp.Or(m.line, d.lineOf(m.Field)); line > 0 {
				fmt.Fprintf(&b, ":%d", line)
			}
			fmt.Fprintf(&b, ": %s: %s", d.name, m.Violation)
			switch m.Problem {
			case "must be a string, got a JSON number", "must be a string, got a JSON bool":
				b.WriteString(": put it in quotes")
			}
		}
	}
	return b.String()
}

// readRequests reads and checks all requests of the files. Of every mistake in
// any of them it tells all, and starts none.
func (a *app) readRequests(ctx context.Context, files []string, parse func([]byte) (request, error)) ([]request, error) {
	var documents []*document
	for _, file := range files {
		more, err := a.readDocuments(ctx, file)
		if err != nil {
			return nil, err
		}
		documents = append(documents, more...)
	}
	var out []request
	seen := map[string]*document{}
	wrong := false
	for _, d := range documents {
		if d.wrong == nil {
			r, err := parse(d.data)
			var input *contract.InputError
			if errors.As(err, &input) {
				for _, v := range input.Violations {
					d.wrong = append(d.wrong, mistake{Violation: v})
					if v.Field == "input" {
						break // no object: that it has no fields goes without saying
					}
				}
			}
			switch first := seen[r.WorkflowID]; {
			case strings.HasSuffix(r.WorkflowID, "-"): // without a name
			case first == nil:
				seen[r.WorkflowID] = d
			default:
				d.wrong = append(d.wrong, mistake{Violation: contract.Violation{Field: "name", Problem: fmt.Sprintf(
					"is that of %s of %s as well, in the same project: ask for each cluster once", first.name, first.file)}})
			}
			out = append(out, r)
		}
		wrong = wrong || d.wrong != nil
	}
	if wrong {
		return nil, invalidFile{documents}
	}
	return out, nil
}

// answers are what -o json prints of documents with mistakes: an answer each, in
// their order, with a failure where there is one.
func (e invalidFile) answers() answers {
	out := answers{Clusters: []answer{}}
	for _, d := range e.documents {
		var failure *provisioner.Failure
		if d.wrong != nil {
			input := &contract.InputError{}
			for _, m := range d.wrong {
				input.Violations = append(input.Violations, m.Violation)
			}
			errors.As(provisioner.Invalid(input), &failure)
		}
		out.Clusters = append(out.Clusters, answer{Failure: failure})
	}
	return out
}
