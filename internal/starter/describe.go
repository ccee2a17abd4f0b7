package starter

import (
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// clusterText names a cluster and its project.
func clusterText(r contract.Request) string {
	c := r.Cluster()
	return c.Name + " of project " + c.GroupID
}

// tagsText is tags as --tag takes them.
func tagsText(tags []contract.Tag) string {
	var all []string
	for _, t := range tags {
		all = append(all, t.Key+"="+t.Value)
	}
	return strings.Join(all, ", ")
}

// changesText says what becomes of tags and termination protection. What stays as it is is not said.
func changesText(tags []contract.Tag, protected *bool) (out []string) {
	switch {
	case tags == nil:
	case len(tags) == 0:
		out = append(out, "remove all its tags")
	default:
		out = append(out, "set its tags to "+tagsText(tags))
	}
	if protected != nil {
		out = append(out, "turn termination protection "+map[bool]string{true: "on", false: "off"}[*protected])
	}
	return out
}

// updateText says that a cluster that is there may be changed.
func updateText(ifDifferent string) string {
	if ifDifferent != contract.UpdateIfDifferent {
		return ""
	}
	return "; update its tags and termination protection if it is there and they differ"
}

// adoptText says that a cluster may be taken over.
func adoptText(adopt bool) string {
	if !adopt {
		return ""
	}
	return "; take it over if it carries no ownership tag"
}
