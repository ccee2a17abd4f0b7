package contract

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ProviderSettings says where a cluster runs.
type ProviderSettings struct {
	// ProviderName is FLEX or SERVERLESS, and of a dedicated cluster its cloud. Optional in an input.
	ProviderName string `json:"providerName,omitempty"`
	// BackingProviderName is the cloud: AWS, AZURE or GCP.
	BackingProviderName string `json:"backingProviderName"`
	// RegionName is Atlas's name of the region, such as US_EAST_1. Atlas decides which exist: the list changes.
	RegionName string `json:"regionName"`
	// InstanceSizeName is the size of a dedicated cluster, such as M10.
	InstanceSizeName string `json:"instanceSizeName,omitempty"`
	// DiskSizeGB is the storage of a Flex cluster; only in a result.
	DiskSizeGB float64 `json:"diskSizeGB,omitempty"`
}

// Place is the cloud and the region, for people.
func (p ProviderSettings) Place() string { return p.BackingProviderName + " " + p.RegionName }

// Tag is a key and a value, each of 1 to 255 letters, digits, spaces and ; @ _ - . + characters.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Fields are the fields of a request or of a cluster, by their JSON path.
type Fields map[string]string

// Difference is a field in which a cluster, or a running request, is not what was asked for.
type Difference struct {
	Field     string `json:"field"`
	Requested string `json:"requested"`
	Existing  string `json:"existing"`
}

// String names the field with both values.
func (d Difference) String() string {
	return d.Field + " is " + d.Existing + ", requested " + d.Requested
}

// ListDifferences is the differences in one line.
func ListDifferences(differences []Difference) string {
	all := make([]string, len(differences))
	for i, d := range differences {
		all[i] = d.String()
	}
	return strings.Join(all, "; ")
}

// Differences are the fields in which the existing differs from what is requested, by name. A field that one side lacks
// is "none" there.
func Differences(requested, existing Fields) []Difference {
	describe := func(value string, ok bool) string {
		if ok {
			return strconv.Quote(shorten(value))
		}
		return "none"
	}
	all := Fields{}
	maps.Copy(all, requested)
	maps.Copy(all, existing)
	var out []Difference
	//workflowcheck:ignore the keys are sorted
	for _, name := range slices.Sorted(maps.Keys(all)) {
		r, isRequested := requested[name]
		e, exists := existing[name]
		if r != e || isRequested != exists {
			out = append(out,
				Difference{Field: name, Requested: describe(r, isRequested), Existing: describe(e, exists)})
		}
	}
	return out
}

// clusterFields leaves out the ownership tag, which says whose a cluster is and not what it is, and white space around
// tags, which Atlas may trim.
func clusterFields(p ProviderSettings, tags []Tag, protected bool) Fields {
	f := Fields{
		"providerSettings.backingProviderName": p.BackingProviderName,
		"providerSettings.regionName":          p.RegionName,
		"terminationProtectionEnabled":         strconv.FormatBool(protected),
	}
	if p.InstanceSizeName != "" {
		f["providerSettings.instanceSizeName"] = p.InstanceSizeName
	}
	f.addTags(tags)
	return f
}

func (f Fields) addTags(tags []Tag) {
	for _, t := range tags {
		if t.Key != OwnershipTag {
			f["tags."+strings.TrimSpace(t.Key)] = strings.TrimSpace(t.Value)
		}
	}
}

func timeout(seconds *int, otherwise time.Duration) time.Duration {
	if seconds == nil {
		return otherwise
	}
	return time.Duration(*seconds) * time.Second
}
