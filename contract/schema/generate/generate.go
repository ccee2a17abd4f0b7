package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// module is the path of this module, to which the reflector joins the source's.
const module = "github.com/atlas-provisioner/atlas-provisioner/contract/schema/generate"

// generate makes each schema, by its file name.
func generate() (map[string][]byte, error) {
	r := &jsonschema.Reflector{Anonymous: true, ExpandedStruct: true}
	if err := r.AddGoComments(module, source, jsonschema.WithFullComment()); err != nil {
		return nil, err
	}
	for name, text := range r.CommentMap {
		r.CommentMap[name] = prose(text)
	}
	schemas := map[string][]byte{}
	for _, d := range documents() {
		name := reflect.TypeOf(d.value).Name()
		// Callers must not send what is unknown, but a result may get fields.
		r.AllowAdditionalProperties = !strings.HasSuffix(name, "Input")
		s := &schema{root: r.Reflect(d.value)}
		s.root.Title = name
		d.addRules(s)
		if s.err != nil {
			return nil, fmt.Errorf("%s: %w", name, s.err)
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(s.root); err != nil {
			return nil, err
		}
		schemas[name+".json"] = b.Bytes()
	}
	return schemas, nil
}

// document is a type that callers send or get, and the rules that the type does not show.
type document struct {
	value    any
	addRules func(*schema)
}

// documents are the input of each operation, what all operations give, and the updates that all of them take.
func documents() []document {
	noRules := func(*schema) {}
	all := []document{
		{contract.Cluster{}, (*schema).cluster},
		{contract.LeaseResult{}, (*schema).lease},
		{contract.FailureDetails{}, noRules},
		{contract.Status{}, (*schema).status},
		{contract.WaitProgress{}, noRules},
		{contract.Joined{}, noRules},
		{contract.ExtendInput{}, (*schema).extension},
		{contract.Extended{}, noRules},
	}
	for _, o := range contract.Operations() {
		all = append(all, document{o.Input, func(s *schema) { s.input(o) }})
	}
	return all
}

var link = regexp.MustCompile(`\[(\*?[A-Za-z.]+)\]`)

// prose turns a Go comment into text for everybody: one line for each paragraph, and no links.
func prose(text string) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		paragraphs[i] = link.ReplaceAllString(strings.Join(strings.Fields(p), " "), "$1")
	}
	return strings.Join(paragraphs, "\n")
}
