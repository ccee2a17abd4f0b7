package contract

import (
	"slices"
	"strconv"
)

// Asked is what a cluster that is there already is asked to have. A field that is left out asks for nothing: the
// cluster keeps what it has.
type Asked struct {
	// Place is the cloud, the region and the size.
	Place ProviderSettings `json:"place,omitzero"`
	// Tags is the whole list of tags, beside the ownership tag. An empty list asks for no tags, nil for nothing.
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
		a.Tags = slices.DeleteFunc(append([]Tag{}, c.Tags...), func(t Tag) bool { return t.Key == OwnershipTag })
	}
	if a.TerminationProtectionEnabled == nil {
		a.TerminationProtectionEnabled = &c.TerminationProtectionEnabled
	}
	return a
}

// Differences are the fields in which a cluster is not as asked. White space around tags, which Atlas may trim, makes
// no difference.
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

// optionalFields are the fields of a request that may leave out what is to stay as it is. What is left out is no field.
func optionalFields(tags []Tag, protected *bool) Fields {
	f := Fields{}
	f.addTags(tags)
	if tags != nil && len(tags) == 0 {
		// An empty list takes all tags away, and is another request than none.
		f["tags"] = "an empty list"
	}
	if protected != nil {
		f["terminationProtectionEnabled"] = strconv.FormatBool(*protected)
	}
	return f
}
