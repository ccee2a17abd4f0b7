// Package requestfile reads files of requests, in YAML or JSON, and tells every mistake in them by file, line and
// document.
package requestfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// MaxBytes bounds a file of requests: some ten thousand of them.
const MaxBytes = 4 << 20

// Document is one request as a file has it.
type Document struct {
	// File is the name of the file, and Name the number of the document in it, with that of the item where the
	// document is a list.
	File, Name string
	// Mistakes are all that is wrong with it.
	Mistakes []Mistake

	isText bool
	data   []byte // JSON; nil where it cannot be read
	// line is where it begins.
	line int
	// node has the lines of the fields, counted from the line after linesAbove; nil where they are not known.
	node       *yaml.Node
	linesAbove int
}

// Mistake is a violation, and its line where it is not that of the field.
type Mistake struct {
	contract.Violation
	Line int
}

// Read reads the documents of a file, or of standard input for "-".
func Read(path string, stdin io.Reader) ([]*Document, error) {
	name := Name(path)
	data, err := readAll(path, stdin)
	var cause *os.PathError
	if errors.As(err, &cause) {
		err = cause.Err // without the path, which the name has
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", name, err)
	case len(data) > MaxBytes:
		return nil, fmt.Errorf("%s is longer than %d MiB: split it", name, MaxBytes>>20)
	}
	documents := split(placeholders(data))
	if len(documents) == 0 {
		return nil, fmt.Errorf("%s holds no request", name)
	}
	for _, d := range documents {
		d.File, d.isText = name, true
	}
	refuseNoText(documents, data)
	return documents, nil
}

// Name is the name of a file, for people.
func Name(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

func readAll(path string, stdin io.Reader) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(stdin, MaxBytes+1))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, MaxBytes+1))
}

// refuseNoText notes the lines that are no text, each in its document, which is then not read any further.
func refuseNoText(documents []*Document, data []byte) {
	for i, line := range bytes.Split(data, []byte("\n")) {
		problem := "cannot be read: it is not text in UTF-8"
		if utf8.Valid(line) {
			if bytes.IndexFunc(line, control) < 0 {
				continue
			}
			problem = "cannot be read: it has a control character"
		}
		d := documents[0]
		for _, later := range documents {
			if later.line <= i+1 {
				d = later
			}
		}
		if d.isText {
			d.isText, d.data, d.Mistakes = false, nil, nil
		}
		d.Mistakes = append(d.Mistakes, Mistake{contract.Violation{Field: "input", Problem: problem}, i + 1})
	}
}

// control tells the control characters that separate nothing.
func control(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\r' && r != '\n' }

// placeholders puts a question mark in place of what is no text, so that the documents around it can be told apart.
func placeholders(data []byte) []byte {
	data = bytes.ToValidUTF8(data, []byte("?"))
	return bytes.Map(func(r rune) rune {
		if control(r) {
			return '?'
		}
		return r
	}, data)
}

// split takes apart what a file holds: JSON values one after another, or else YAML documents.
func split(data []byte) []*Document {
	var out []*Document
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
		d := &Document{Name: fmt.Sprint("document ", n), line: line, linesAbove: line - 1, data: value}
		// JSON is YAML but for its tabs, which are only ever space, and some escapes: what has those has no lines.
		var root yaml.Node
		if yaml.Load(bytes.ReplaceAll(value, []byte("\t"), []byte(" ")), &root) == nil && len(root.Content) == 1 {
			d.node = root.Content[0]
		}
		var items []json.RawMessage
		if value[0] != '[' || json.Unmarshal(value, &items) != nil {
			out = append(out, d.check())
			continue
		}
		for i, item := range items {
			var node *yaml.Node
			if d.node != nil && i < len(d.node.Content) {
				node = d.node.Content[i]
			}
			out = append(out, d.item(i, node, item).check())
		}
	}
}

func splitYAML(data []byte) []*Document {
	var out []*Document
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	for n := 1; err == nil; n++ {
		d := &Document{Name: fmt.Sprint("document ", n)}
		var root yaml.Node
		if err = loader.Load(&root); err != nil {
			if err != io.EOF {
				d.unreadable(err)
				out = append(out, d)
			}
			break
		}
		d.node = root.Content[0]
		d.line = d.node.Line
		switch {
		case d.node.ShortTag() == "!!null": // nothing between two ---
		case d.node.Kind == yaml.SequenceNode && d.node.Style&yaml.TaggedStyle == 0:
			for i, node := range d.node.Content {
				out = append(out, d.item(i, node, nil).check().toJSON())
			}
		default:
			out = append(out, d.check().toJSON())
		}
	}
	return out
}

// item is an item of a document that is a list.
func (d *Document) item(i int, node *yaml.Node, data []byte) *Document {
	item := &Document{
		Name: fmt.Sprintf("%s, item %d", d.Name, i+1), line: d.line, node: node, linesAbove: d.linesAbove, data: data,
	}
	if node != nil {
		item.line = d.linesAbove + node.Line
	}
	return item
}

// toJSON makes JSON of YAML. A name that is there twice was noted by [Document.check].
func (d *Document) toJSON() *Document {
	plain(d.node)
	var value any
	err := d.node.Load(&value, yaml.WithUniqueKeys(false))
	if err == nil {
		d.data, err = json.Marshal(value)
	}
	if err != nil {
		d.unreadable(err)
	}
	return d
}

// unreadable notes what YAML has to say of a document.
func (d *Document) unreadable(err error) {
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
		problem := "cannot be read: " + e.Message
		if e.ContextMsg != "" {
			problem += " " + e.ContextMsg
		}
		d.Mistakes = append(d.Mistakes, Mistake{contract.Violation{Field: "input", Problem: problem}, e.Mark.Line})
	}
}

// check notes what YAML takes silently, and nobody means: a tag, and a name that is there twice.
func (d *Document) check() *Document {
	if d.node != nil {
		d.checkNode("", d.node)
	}
	return d
}

func (d *Document) checkNode(field string, n *yaml.Node) {
	if n.Style&yaml.TaggedStyle != 0 {
		d.mistake(field, fmt.Sprintf("has the YAML tag %s, which means nothing here: leave it out", n.Tag), n)
	}
	seen := map[string]bool{}
	for i, child := range n.Content {
		switch {
		case n.Kind != yaml.MappingNode:
			d.checkNode(fmt.Sprintf("%s[%d]", field, i), child)
		case i%2 == 1:
			d.checkNode(join(field, n.Content[i-1].Value), child)
		default:
			name := strings.ToLower(child.Value)
			if child.Kind == yaml.ScalarNode && seen[name] {
				d.mistake(join(field, child.Value), "is given twice", child)
			}
			seen[name] = true
			if child.Style&yaml.TaggedStyle != 0 {
				d.checkNode(join(field, child.Value), child)
			}
		}
	}
}

func (d *Document) mistake(field, problem string, n *yaml.Node) {
	if field == "" {
		field = "input"
	}
	d.Mistakes = append(d.Mistakes, Mistake{contract.Violation{Field: field, Problem: problem}, d.linesAbove + n.Line})
}

func join(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}

// plain takes as text what YAML knows and JSON does not: dates, infinity, and keys that are no strings.
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
