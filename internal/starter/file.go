package starter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// maxFile bounds a file of requests: some ten thousand of them.
const maxFile = 4 << 20

// document is one request as a file has it.
type document struct {
	file string
	// name is the document's number, and that of the item where the document is
	// a list.
	name  string
	line  int
	node  *yaml.Node // for the lines of fields; nil where there are none
	above int        // how many lines are above those that node counts
	data  []byte     // JSON
	wrong []mistake
}

// mistake is a violation, and its line where it is not that of the field.
type mistake struct {
	contract.Violation
	line int
}

// readDocuments reads the requests of a file, or of standard input for "-".
func (a *app) readDocuments(ctx context.Context, file string) ([]*document, error) {
	name := file
	if file == "-" {
		name = "standard input"
	}
	var data []byte
	var err error
	done := make(chan struct{})
	go func() { // a terminal or a pipe may never answer
		defer close(done)
		data, err = a.read(file)
	}()
	select {
	case <-ctx.Done():
		return nil, ending{exitInterrupted, "interrupted before " + name + " was read; nothing was started"}
	case <-done:
	}
	var path *os.PathError
	switch {
	case errors.As(err, &path):
		return nil, refusal{name + " cannot be read: " + path.Err.Error()}
	case err != nil:
		return nil, refusal{name + " cannot be read: " + err.Error()}
	case len(data) > maxFile:
		return nil, refusal{fmt.Sprintf("%s is longer than %d MiB: split it", name, maxFile>>20)}
	}
	documents := split(data)
	for _, d := range documents {
		d.file = name
	}
	if len(documents) == 0 {
		return nil, refusal{name + " holds no request"}
	}
	return documents, nil
}

func (a *app) read(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(io.LimitReader(a.stdin, maxFile+1))
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// split takes apart what a file holds: JSON values one after another, or else
// YAML documents.
func split(data []byte) []*document {
	var out []*document
	line, at := 1, 0
	for n, decoder := 1, json.NewDecoder(bytes.NewReader(data)); ; n++ {
		var value json.RawMessage
		err := decoder.Decode(&value)
		if err == io.EOF {
			return out
		}
		if err != nil {
			return splitYAML(data)
		}
		begin := int(decoder.InputOffset()) - len(value)
		line += bytes.Count(data[at:begin], []byte("\n"))
		at = begin
		d := &document{name: fmt.Sprint("document ", n), line: line, above: line - 1, data: value}
		// JSON is YAML but for its tabs, which are only ever space, and some
		// escapes: what has those has no lines.
		var root yaml.Node
		if yaml.Load(bytes.ReplaceAll(value, []byte("\t"), []byte(" ")), &root) == nil && len(root.Content) == 1 {
			d.node = root.Content[0]
		}
		var items []json.RawMessage
		if value[0] != '[' || json.Unmarshal(value, &items) != nil {
			out = append(out, d)
			continue
		}
		for i, item := range items {
			var node *yaml.Node
			if d.node != nil && i < len(d.node.Content) {
				node = d.node.Content[i]
			}
			out = append(out, d.item(i, node, item))
		}
	}
}

func splitYAML(data []byte) []*document {
	var out []*document
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	for n := 1; err == nil; n++ {
		d := &document{name: fmt.Sprint("document ", n)}
		var root yaml.Node
		if err = loader.Load(&root); err != nil {
			if err != io.EOF {
				out = append(out, d.broken(err))
			}
			break
		}
		d.node = root.Content[0]
		d.line = d.node.Line
		plain(d.node)
		switch {
		case d.node.ShortTag() == "!!null": // nothing between two ---
		case d.node.Kind == yaml.SequenceNode:
			for i, node := range d.node.Content {
				out = append(out, d.item(i, node, nil).toJSON())
			}
		default:
			out = append(out, d.toJSON())
		}
	}
	return out
}

// item is an item of a document that is a list.
func (d *document) item(i int, node *yaml.Node, data []byte) *document {
	item := &document{name: fmt.Sprintf("%s, item %d", d.name, i+1), line: d.line, node: node, above: d.above, data: data}
	if node != nil {
		item.line = d.above + node.Line
	}
	return item
}

func (d *document) toJSON() *document {
	var value any
	err := d.node.Load(&value)
	if err == nil {
		d.data, err = json.Marshal(value)
	}
	if err != nil {
		return d.broken(err)
	}
	return d
}

// broken notes what YAML has to say of a document.
func (d *document) broken(err error) *document {
	var many *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case errors.As(err, &many):
	case errors.As(err, &one):
		many = &yaml.LoadErrors{Errors: []*yaml.LoadError{one}}
	default:
		many = &yaml.LoadErrors{Errors: []*yaml.LoadError{{Message: err.Error()}}}
	}
	for _, e := range many.Errors {
		if n := len(d.wrong); n > 0 && d.wrong[n-1].line == e.Mark.Line {
			continue // a key that is there three times
		}
		problem := "cannot be read: " + e.Message
		if e.ContextMsg != "" {
			problem += " " + e.ContextMsg
		}
		d.wrong = append(d.wrong, mistake{contract.Violation{Field: "input", Problem: problem}, e.Mark.Line})
	}
	return d
}

// plain takes as text what YAML knows and JSON does not: dates, infinity, and
// keys that are no strings.
func plain(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		switch n.ShortTag() {
		case "!!timestamp":
			n.Tag = "!!str"
		case "!!float":
			if f, err := strconv.ParseFloat(n.Value, 64); err != nil || f-f != 0 {
				n.Tag = "!!str"
			}
		}
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Kind == yaml.ScalarNode && child.ShortTag() != "!!merge" {
			child.Tag = "!!str"
		}
		plain(child)
	}
}

// lineOf is the line of a field, or of what should hold it; 0 where it is not
// known.
func (d *document) lineOf(field string) int {
	n, line := d.node, d.line
	for n != nil && field != "" {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		at := n
		n = nil
		for i, child := range at.Content {
			key := fmt.Sprintf("[%d]", i)
			if at.Kind == yaml.MappingNode {
				key = child.Value
			}
			rest, ok := cutFold(field, key)
			switch {
			case !ok, at.Kind == yaml.MappingNode && i%2 == 1:
				continue
			case at.Kind == yaml.MappingNode:
				n = at.Content[i+1]
			default:
				n = child
			}
			line, field = d.above+child.Line, rest
			break
		}
	}
	return line
}

// cutFold is what follows key, in any case of letters, in the path of a field.
func cutFold(field, key string) (rest string, ok bool) {
	if len(key) > len(field) || !strings.EqualFold(field[:len(key)], key) {
		return "", false
	}
	rest = field[len(key):]
	return strings.TrimPrefix(rest, "."), rest == "" || rest[0] == '.' || rest[0] == '['
}
