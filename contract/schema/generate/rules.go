package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// schema is one schema. Its fields get the rules that the Go types do not show. The tests compare them with
// contract's own validation.
type schema struct {
	root *jsonschema.Schema
	err  error
}

const (
	projectID = `^[a-f0-9]{24}$`
	// A letter or digit, then letters, digits and hyphens, 64 at most; neither
	// the name nor its first 23 characters end in a hyphen.
	clusterName = `^([a-zA-Z0-9]([a-zA-Z0-9-]{0,21}[a-zA-Z0-9])?|[a-zA-Z0-9][a-zA-Z0-9-]{21}[a-zA-Z0-9][a-zA-Z0-9-]{1,41})$`
	maxTag      = 255
)

func (s *schema) provision() {
	s.input("FLEX", contract.DefaultProvisionTimeout)
}

func (s *schema) upgradeToServerless() {
	s.input("SERVERLESS", contract.DefaultUpgradeTimeout)
	s.nullable("serverlessBackupOptions")
	s.nullable("ServerlessBackupOptions.serverlessContinuousBackupEnabled")
}

// input has the rules of both workflows' inputs. A field that may be left out may as well be null.
func (s *schema) input(provider string, timeout time.Duration) {
	s.field("groupId").Pattern = projectID
	s.field("name").Pattern = clusterName
	s.field("name").MaxLength = new(uint64(64))
	s.nullable("tags")
	s.nullable("terminationProtectionEnabled").Default = false
	s.nullable("ownershipTag").Default = true
	seconds := s.nullable("timeoutSeconds")
	seconds.Minimum, seconds.Maximum = "1", json.Number(strconv.Itoa(contract.MaxTimeoutSeconds))
	seconds.Default = int(timeout / time.Second)

	s.field("ProviderSettings.backingProviderName").Enum = []any{"AWS", "AZURE", "GCP"}
	s.field("ProviderSettings.regionName").MinLength = new(uint64(1))
	name := s.nullable("ProviderSettings.providerName")
	name.Enum, name.Default = []any{provider, "", nil}, provider
	name.Description = provider + ", which may be left out."
	disk := s.nullable("ProviderSettings.diskSizeGB")
	disk.Enum = []any{0, nil}
	disk.Description = "Cannot be chosen: leave it out."

	for _, f := range []string{"Tag.key", "Tag.value"} {
		s.field(f).MinLength, s.field(f).MaxLength = new(uint64(1)), new(uint64(maxTag))
	}
	s.field("Tag.key").Not = &jsonschema.Schema{Const: contract.OwnershipTag}
}

func (s *schema) cluster() {
	s.field("clusterType").Enum = []any{contract.ClusterTypeFlex, contract.ClusterTypeServerless}
	s.field("outcome").Enum = []any{contract.Created, contract.Upgraded, contract.Unchanged}
}

func (s *schema) status() {
	s.field("phase").Enum = []any{
		contract.PhaseValidating, contract.PhaseCreating, contract.PhaseUpgrading,
		contract.PhaseWaiting, contract.PhaseDone, contract.PhaseFailed,
	}
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

// nullable finds a field and lets it be null.
func (s *schema) nullable(path string) *jsonschema.Schema {
	f := s.field(path)
	if f.Ref != "" {
		f.AnyOf = []*jsonschema.Schema{{Ref: f.Ref}, {Type: "null"}}
		f.Ref = ""
		return f
	}
	f.Extras = map[string]any{"type": []string{f.Type, "null"}}
	f.Type = ""
	return f
}
