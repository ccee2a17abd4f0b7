package contract

import (
	"slices"
	"strconv"
)

// Asked is what a cluster that is there already is asked to have. A zero field asks for nothing: the cluster keeps what
// it has.
type Asked struct {
	// Place is the cloud, the region and the size.
	Place ProviderSettings `json:"place,omitzero"`
	// Tags is the whole list of tags, beside the ownership tag.
	Tags []Tag `json:"tags,omitzero"`
	// TerminationProtectionEnabled is whether the cluster is protected.
	TerminationProtectionEnabled *bool `json:"terminationProtectionEnabled,omitempty"`
	// Owner is the value of the ownership tag.
	Owner string `json:"owner,omitempty"`
}

// Completed is what a cluster is asked to have, and what it has where nothing is asked for: its tags and its
// termination protection.
func (a Asked) Completed(c Cluster) Asked {
	if a.Tags == nil {
		a.Tags = slices.DeleteFunc(slices.Concat([]Tag{}, c.Tags), func(t Tag) bool { return t.Key == OwnershipTag })
	}
	if a.TerminationProtectionEnabled == nil {
		a.TerminationProtectionEnabled = &c.TerminationProtectionEnabled
	}
	return a
}

// flexAsked is what a Flex cluster is asked to have in every field.
func flexAsked(p ProviderSettings, tags []Tag, protected bool, owner string) Asked {
	return Asked{Place: p, Tags: append([]Tag{}, tags...), TerminationProtectionEnabled: &protected, Owner: owner}
}

// Differences are the fields in which a cluster is not as asked.
func (a Asked) Differences(c Cluster) []Difference {
	wanted := c
	if a.Place.RegionName != "" {
		wanted.ProviderSettings = a.Place
	}
	if a.Tags != nil {
		wanted.Tags = a.Tags
	}
	if a.TerminationProtectionEnabled != nil {
		wanted.TerminationProtectionEnabled = *a.TerminationProtectionEnabled
	}
	requested, existing := wanted.Fields(), c.Fields()
	if a.Owner != "" && !c.OwnedBy(a.Owner) {
		requested["tags."+OwnershipTag] = a.Owner
		if owner := c.Owner(); owner != "" {
			existing["tags."+OwnershipTag] = owner
		}
	}
	return Differences(requested, existing)
}

// optionalFields are the fields of a request that may leave out what is to stay as it is.
func optionalFields(tags []Tag, protected *bool) Fields {
	f := Fields{}
	if tags != nil {
		f.addTags(tags)
		f["tags"] = "the whole list" // an empty one is another request than none
	}
	if protected != nil {
		f["terminationProtectionEnabled"] = strconv.FormatBool(*protected)
	}
	return f
}
