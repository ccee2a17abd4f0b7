package requestfile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Parse makes requests for an operation of documents. It fails with an [*InvalidError] that tells every mistake in any
// of them.
func Parse(documents []*Document, operation contract.Operation) ([]contract.Request, error) {
	var requests []contract.Request
	firsts := map[contract.ClusterRef]*Document{}
	valid := true
	for _, d := range documents {
		if d.data != nil {
			// Its own workflow id fits into a tag, so any other does for the rules.
			request, err := operation.Parse(d.data, "id")
			d.addViolations(err)
			requests = append(requests, request)
			switch cluster := request.Cluster(); {
			case cluster.Name == "":
			case firsts[cluster] == nil:
				firsts[cluster] = d
			default:
				first := firsts[cluster]
				d.Mistakes = append(
					d.Mistakes,
					Mistake{Violation: contract.Violation{Field: "name", Problem: fmt.Sprintf(
						"is that of %s of %s as well, in the same project: ask for each cluster once", first.Name,
						first.File)}},
				)
			}
		}
		valid = valid && d.Mistakes == nil
	}
	if !valid {
		return nil, &InvalidError{Documents: documents}
	}
	return requests, nil
}

// addViolations notes the violations of an [*contract.InputError] that are not yet noted.
func (d *Document) addViolations(err error) {
	var input *contract.InputError
	if !errors.As(err, &input) {
		return
	}
	for _, v := range input.Violations {
		known := slices.ContainsFunc(d.Mistakes, func(m Mistake) bool {
			return strings.EqualFold(m.Field, v.Field) && m.Problem == v.Problem
		})
		if !known {
			d.Mistakes = append(d.Mistakes, Mistake{Violation: v})
		}
		if v.Field == "input" {
			break // no object: that it has no fields goes without saying
		}
	}
}

// InvalidError is the mistakes of documents of which nothing was started.
type InvalidError struct{ Documents []*Document }

// Error names every mistake, by file, line and document.
func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString("nothing was started:")
	for _, d := range e.Documents {
		for _, m := range d.Mistakes {
			b.WriteString("\n  " + d.File)
			if line := cmp.Or(m.Line, d.lineOf(m.Field)); line > 0 {
				fmt.Fprintf(&b, ":%d", line)
			}
			fmt.Fprintf(&b, ": %s: %s", d.Name, m.Violation)
			switch m.Problem {
			case "must be a string, got a JSON number", "must be a string, got a JSON bool":
				b.WriteString(": put it in quotes")
			}
		}
	}
	return b.String()
}

// lineOf is the line of a field, or of what should hold it; 0 where it is not known.
func (d *Document) lineOf(field string) int {
	n, line := d.node, d.line
	for n != nil && field != "" {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		name, value, rest := child(n, field)
		if value != nil {
			line = d.linesAbove + name.Line
		}
		n, field = value, rest
	}
	return line
}

// child is the name and the value in a mapping, or the item of a list, that the path of a field leads to, and the rest
// of the path; nil where there is none. Names are found in any case of letters, as the contract does.
func child(n *yaml.Node, field string) (name, value *yaml.Node, rest string) {
	for i, c := range n.Content {
		key, value := fmt.Sprintf("[%d]", i), c
		if n.Kind == yaml.MappingNode {
			if i%2 == 1 {
				continue
			}
			key, value = c.Value, n.Content[i+1]
		}
		if len(key) > len(field) || !strings.EqualFold(field[:len(key)], key) {
			continue
		}
		if rest := field[len(key):]; rest == "" || rest[0] == '.' || rest[0] == '[' {
			return c, value, strings.TrimPrefix(rest, ".")
		}
	}
	return nil, nil, ""
}
