package contract

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The rules are what Atlas documents of a cluster's fields. Each checks one of them, and an operation picks those that
// its input has. What changes without notice, such as the list of regions, is left to Atlas.

var (
	groupIDPattern = regexp.MustCompile(`^[a-f0-9]{24}$`)
	namePattern    = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9-]*$`)
	// The sizes of dedicated clusters, such as M10, R40 or M40_NVME, begin at M10. Atlas decides which there are
	// (https://www.mongodb.com/docs/atlas/cluster-additional-settings/).
	instanceSizePattern = regexp.MustCompile(`^[A-Z]+[1-9][0-9]+(_[A-Z]+)?$`)
	// https://www.mongodb.com/docs/atlas/tags/: what a key or a value may hold. Atlas may trim spaces, so there must be
	// more than those.
	tagPattern = regexp.MustCompile(`^ *[\p{L}\p{N};@_.+-][\p{L}\p{N} ;@_.+-]*$`)
)

const (
	maxName = 64
	// The first 23 characters of a name make the host name
	// (https://www.mongodb.com/docs/atlas/reference/atlas-limits/).
	hostNamePrefix = 23
	// maxTag is the most characters of a key or a value.
	maxTag = 255
	// maxTags is the most tags of a cluster, the ownership tag included.
	maxTags = 50
	// MaxTimeoutSeconds is one day.
	MaxTimeoutSeconds = 86400

	tagCharacters = "letters, digits, spaces and ; @ _ - . +"
)

func violation(field, format string, args ...any) []Violation {
	return []Violation{{Field: field, Problem: fmt.Sprintf(format, args...)}}
}

func checkProject(groupID string) []Violation {
	if groupIDPattern.MatchString(groupID) {
		return nil
	}
	return violation("groupId", "must be the project's id of 24 hexadecimal digits (0-9, a-f), got %q",
		shorten(groupID))
}

func checkName(name string) []Violation {
	switch {
	case !namePattern.MatchString(name):
		return violation("name", "must begin with a letter or digit and hold only letters, digits and hyphens, got %q",
			shorten(name))
	case len(name) > maxName:
		return violation("name", "must have %d characters at most, got %d", maxName, len(name))
	case name[min(len(name), hostNamePrefix)-1] == '-':
		return violation("name", "must not end in a hyphen, nor may its first %d characters, "+
			"which make the host name, got %q", hostNamePrefix, shorten(name))
	}
	return nil
}

// checkPlace checks the cloud and the region, and that no disk size is asked for: Atlas decides on it.
func checkPlace(p ProviderSettings) (out []Violation) {
	switch p.BackingProviderName {
	case "AWS", "AZURE", "GCP":
	default:
		out = append(out, violation("providerSettings.backingProviderName", "must be AWS, AZURE or GCP, got %q",
			shorten(p.BackingProviderName))...)
	}
	if p.RegionName == "" {
		out = append(out, violation("providerSettings.regionName", "must name a region, such as US_EAST_1")...)
	}
	if p.DiskSizeGB != 0 {
		out = append(out, violation("providerSettings.diskSizeGB", "cannot be chosen: leave it out")...)
	}
	return out
}

// checkPlaceOf checks the place of a cluster that has no size to choose. providerName is the only one that there is.
func checkPlaceOf(p ProviderSettings, providerName string) []Violation {
	out := checkPlace(p)
	if p.ProviderName != "" && p.ProviderName != providerName {
		out = append(out, violation("providerSettings.providerName", "must be %s or left out, got %q", providerName,
			shorten(p.ProviderName))...)
	}
	if p.InstanceSizeName != "" {
		out = append(out, violation("providerSettings.instanceSizeName", "cannot be chosen: leave it out")...)
	}
	return out
}

// checkDedicatedPlace checks the place and the size of a dedicated cluster.
func checkDedicatedPlace(p ProviderSettings) []Violation {
	out := checkPlace(p)
	if p.ProviderName != "" {
		out = append(out, violation("providerSettings.providerName", "cannot be chosen: leave it out")...)
	}
	if !instanceSizePattern.MatchString(p.InstanceSizeName) {
		out = append(out, violation("providerSettings.instanceSizeName",
			"must be the size of a dedicated cluster, such as M10, got %q", shorten(p.InstanceSizeName))...)
	}
	return out
}

// checkTags checks tags of which there may be so many.
func checkTags(tags []Tag, most int) (out []Violation) {
	if len(tags) > most {
		beside := ""
		if most < maxTags {
			beside = " beside the ownership tag"
		}
		out = append(out, violation("tags", "must be %d at most%s, since Atlas takes %d on a cluster, got %d",
			most, beside, maxTags, len(tags))...)
	}
	seen := map[string]bool{}
	for i, t := range tags {
		key := fmt.Sprintf("tags[%d].key", i)
		out = append(out, checkTagText(key, t.Key)...)
		out = append(out, checkTagText(fmt.Sprintf("tags[%d].value", i), t.Value)...)
		trimmed := strings.TrimSpace(t.Key)
		if trimmed == OwnershipTag {
			out = append(out, violation(key, "is %s, which is reserved", OwnershipTag)...)
		}
		if seen[trimmed] {
			out = append(out, violation(key, "is given twice: %q", shorten(t.Key))...)
		}
		seen[trimmed] = true
	}
	return out
}

func checkTagText(field, text string) []Violation {
	if n := utf8.RuneCountInString(text); n < 1 || n > maxTag {
		return violation(field, "must have 1 to %d characters, got %d", maxTag, n)
	}
	if !tagPattern.MatchString(text) {
		return violation(field, "must hold only %s, and more than spaces, got %q", tagCharacters, shorten(text))
	}
	return nil
}

// checkOwnershipTag checks that the workflow id, which a caller may have chosen, can be the value of a tag.
func checkOwnershipTag(workflowID string) []Violation {
	workflowID = Owner(workflowID)
	switch {
	case utf8.RuneCountInString(workflowID) > maxTag:
		return violation("ownershipTag", "cannot hold a workflow id of more than %d characters: "+
			"use a shorter id, or set it to false", maxTag)
	case !tagPattern.MatchString(workflowID):
		return violation("ownershipTag", "cannot hold the workflow id %q: a tag holds only %s. "+
			"Use such an id, or set it to false", shorten(workflowID), tagCharacters)
	}
	return nil
}

// checkOwner checks the workflow id of an operation whose cluster always carries the ownership tag.
func checkOwner(workflowID string) []Violation {
	workflowID = Owner(workflowID)
	switch {
	case utf8.RuneCountInString(workflowID) > maxTag:
		return violation("workflowId", "must have %d characters at most, since it is the value of the ownership tag",
			maxTag)
	case !tagPattern.MatchString(workflowID):
		return violation("workflowId", "must hold only %s, since it is the value of the ownership tag, got %q",
			tagCharacters, shorten(workflowID))
	}
	return nil
}

func checkTimeout(seconds *int) []Violation {
	if seconds == nil || *seconds >= 1 && *seconds <= MaxTimeoutSeconds {
		return nil
	}
	return violation("timeoutSeconds", "must be from 1 to %d, got %d", MaxTimeoutSeconds, *seconds)
}
