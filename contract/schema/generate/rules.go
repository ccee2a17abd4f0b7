package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// schema is one schema. Its fields get the rules that the Go types do not show. The tests compare them with contract's
// own validation.
type schema struct {
	root *jsonschema.Schema
	err  error
}

const (
	projectID = `^[a-f0-9]{24}$`
	// A letter or digit, then letters, digits and hyphens, 64 at most; neither the name nor its first 23 characters end
	// in a hyphen.
	clusterName = `^([a-zA-Z0-9]([a-zA-Z0-9-]{0,21}[a-zA-Z0-9])?` +
		`|[a-zA-Z0-9][a-zA-Z0-9-]{21}[a-zA-Z0-9][a-zA-Z0-9-]{1,41})$`
	// Letters, digits, spaces and a few signs, of which one is no space.
	tagText = `^ *[\p{L}\p{N};@_.+-][\p{L}\p{N} ;@_.+-]*$`
	maxTag  = 255
	maxTags = 50
	// An empty id is as good as none.
	optionalClusterID = `^([a-f0-9]{24})?$`
	instanceSize      = `^[A-Z]+[1-9][0-9]+(_[A-Z]+)?$`

	cannotBeChosen = "Cannot be chosen: leave it out."
)

// fieldRules are the rules of the inputs' fields. A field of a nested type is "Type.field". An input has the rules of
// those fields that it has, so that a new operation needs a rule here only for a new field.
var fieldRules = map[string]func(*jsonschema.Schema, contract.Operation){
	"groupId": func(f *jsonschema.Schema, _ contract.Operation) { f.Pattern = projectID },
	"name": func(f *jsonschema.Schema, _ contract.Operation) {
		f.Pattern, f.MaxLength = clusterName, new(uint64(64))
	},
	"tags": func(f *jsonschema.Schema, _ contract.Operation) {
		f.MaxItems = new(uint64(maxTags))
	},
	"terminationProtectionEnabled": func(f *jsonschema.Schema, o contract.Operation) {
		if !mayStayAsItIs(o) {
			f.Default = false
		}
	},
	"id":                          func(f *jsonschema.Schema, _ contract.Operation) { f.Pattern = optionalClusterID },
	"adopt":                       falseUnlessGiven,
	"removeTerminationProtection": falseUnlessGiven,
	"ifDifferent": func(f *jsonschema.Schema, _ contract.Operation) {
		f.Enum = []any{contract.FailIfDifferent, contract.UpdateIfDifferent, "", nil}
		f.Default = contract.FailIfDifferent
	},
	"leaseSeconds": func(f *jsonschema.Schema, _ contract.Operation) {
		f.Minimum = json.Number(strconv.Itoa(contract.MinLeaseSeconds))
		f.Maximum = json.Number(strconv.Itoa(contract.MaxLeaseSeconds))
	},
	"ownershipTag": func(f *jsonschema.Schema, _ contract.Operation) { f.Default = true },
	"timeoutSeconds": func(f *jsonschema.Schema, o contract.Operation) {
		f.Minimum, f.Maximum = "1", json.Number(strconv.Itoa(contract.MaxTimeoutSeconds))
		f.Default = int(o.DefaultTimeout / time.Second)
	},
	"ProviderSettings.backingProviderName": func(f *jsonschema.Schema, _ contract.Operation) {
		f.Enum = []any{"AWS", "AZURE", "GCP"}
	},
	"ProviderSettings.regionName": func(f *jsonschema.Schema, _ contract.Operation) { f.MinLength = new(uint64(1)) },
	"ProviderSettings.providerName": func(f *jsonschema.Schema, o contract.Operation) {
		if o.ClusterType == contract.ClusterTypeDedicated {
			f.Enum, f.Description = []any{"", nil}, cannotBeChosen
			return
		}
		f.Enum, f.Default = []any{o.ClusterType, "", nil}, o.ClusterType
		f.Description = o.ClusterType + ", which may be left out."
	},
	"ProviderSettings.instanceSizeName": func(f *jsonschema.Schema, o contract.Operation) {
		if o.ClusterType == contract.ClusterTypeDedicated {
			f.Pattern = instanceSize
			return
		}
		f.Enum, f.Description = []any{"", nil}, cannotBeChosen
	},
	"ProviderSettings.diskSizeGB": func(f *jsonschema.Schema, _ contract.Operation) {
		f.Enum = []any{0, nil}
		f.Description = cannotBeChosen
	},
	"Tag.key": func(f *jsonschema.Schema, o contract.Operation) {
		tagRule(f, o)
		f.Not = &jsonschema.Schema{Pattern: "^ *" + contract.OwnershipTag + " *$"}
	},
	"Tag.value": tagRule,
}

func falseUnlessGiven(f *jsonschema.Schema, _ contract.Operation) { f.Default = false }

// given takes objects that have a field, and not as null.
func given(field string) *jsonschema.Schema {
	properties := jsonschema.NewProperties()
	properties.Set(field, &jsonschema.Schema{Not: &jsonschema.Schema{Type: "null"}})
	return &jsonschema.Schema{Properties: properties, Required: []string{field}}
}

// mayStayAsItIs reports whether an operation leaves termination protection as it is where the input has none.
func mayStayAsItIs(o contract.Operation) bool {
	return o.WorkflowType == contract.UpdateFlexCluster || o.WorkflowType == contract.UpgradeToDedicated
}

func tagRule(f *jsonschema.Schema, _ contract.Operation) {
	f.MinLength, f.MaxLength, f.Pattern = new(uint64(1)), new(uint64(maxTag)), tagText
}

// input gives the rules to the input of an operation. A field that may be left out may as well be null.
func (s *schema) input(o contract.Operation) {
	switch o.WorkflowType {
	case contract.UpdateFlexCluster:
		// Without one of these there is nothing to change.
		s.root.AnyOf = []*jsonschema.Schema{given("tags"), given("terminationProtectionEnabled")}
	case contract.UpgradeToDedicated:
		place := s.root.Definitions["ProviderSettings"]
		place.Required = append(place.Required, "instanceSizeName")
	}
	s.inputFields(s.root, "", o)
	for name, definition := range s.root.Definitions {
		s.inputFields(definition, name+".", o)
	}
}

func (s *schema) inputFields(object *jsonschema.Schema, prefix string, o contract.Operation) {
	for p := object.Properties.Oldest(); p != nil; p = p.Next() {
		if !slices.Contains(object.Required, p.Key) {
			allowNull(p.Value)
		}
		if rule := fieldRules[prefix+p.Key]; rule != nil {
			rule(p.Value, o)
		}
	}
}

func (s *schema) cluster() {
	var types []any
	for _, o := range contract.Operations() {
		if !slices.Contains(types, any(o.ClusterType)) { // one is "": a cluster that was gone already
			types = append(types, o.ClusterType)
		}
	}
	s.field("clusterType").Enum = types
	s.field("outcome").Enum = []any{
		contract.Created, contract.Updated, contract.Upgraded, contract.Deleted, contract.Unchanged,
	}
}

func (s *schema) lease() { s.field("outcome").Enum = []any{contract.Released} }

func (s *schema) status() {
	s.field("phase").Enum = []any{
		contract.PhaseValidating, contract.PhaseCreating, contract.PhaseUpdating, contract.PhaseUpgrading,
		contract.PhaseDeleting, contract.PhaseWaiting, contract.PhaseLeased, contract.PhaseReleasing,
		contract.PhaseDone, contract.PhaseFailed,
	}
}

func (s *schema) extension() {
	seconds := s.field("seconds")
	seconds.Minimum, seconds.Maximum = "1", json.Number(strconv.Itoa(int(contract.MaxTimeLimit.Seconds())))
}

// field finds a field of the root, or "Type.field".
func (s *schema) field(path string) *jsonschema.Schema {
	in, name := s.root, path
	if kind, field, nested := strings.Cut(path, "."); nested {
		in, name = s.root.Definitions[kind], field
	}
	if in != nil {
		if f, ok := in.Properties.Get(name); ok {
			return f
		}
	}
	s.err = fmt.Errorf("there is no field %s: correct contract/schema/generate/rules.go", path)
	return &jsonschema.Schema{}
}

// allowNull lets a field be null.
func allowNull(f *jsonschema.Schema) {
	if f.Ref != "" {
		f.AnyOf = []*jsonschema.Schema{{Ref: f.Ref}, {Type: "null"}}
		f.Ref = ""
		return
	}
	f.Extras = map[string]any{"type": []string{f.Type, "null"}}
	f.Type = ""
}
