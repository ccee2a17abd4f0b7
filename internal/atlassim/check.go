package atlassim

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxName    = 64  // characters of a cluster name (docs)
	hostPrefix = 23  // characters of it that make the host name (docs)
	maxTags    = 50  // tags on a cluster (docs)
	maxTag     = 255 // characters of a key or a value (docs)
)

var namePattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9-]*$`)

// checkName applies the rules for names (docs).
func checkName(name string) *apiError {
	switch {
	case name == "":
		return errMissing("name")
	case len(name) > maxName:
		return errNameLong(name)
	case !namePattern.MatchString(name):
		return errNameChars(name)
	case strings.HasSuffix(hostName(name), "-"):
		return errNamePrefix(name, hostName(name))
	}
	return nil
}

// hostName is the part of a cluster's name that goes into its host name.
func hostName(name string) string { return name[:min(len(name), hostPrefix)] }

// checkNameFreeLocked answers as Atlas does when a name cannot be taken.
func (s *Server) checkNameFreeLocked(group, name string) *apiError {
	now := s.cfg.Now()
	for _, c := range s.clusters {
		switch {
		case c.key.group != group:
		case c.key.name == name:
			return errDuplicate(name, group)
		case strings.EqualFold(hostName(c.key.name), hostName(name)):
			return errDuplicatePrefix(name)
		}
	}
	freed, once := s.freed[clusterKey{group: group, name: name}]
	if once && now.Before(s.cfg.NameHeldFor.after(freed)) {
		return errNameHeld()
	}
	return nil
}

// checkPlace answers as Atlas does for a cloud or a region that it does not have. For an unknown region it is known
// to answer INVALID_REGION, INVALID_ATTRIBUTE, and for GCP a 500 that never passes (public reports); which of the two
// others belongs to AWS and which to Azure is assumed.
func checkPlace(provider, region string) *apiError {
	known, has := regions[provider]
	switch {
	case provider == "":
		return errMissing("backingProviderName")
	case !has:
		return errProvider(provider)
	case slices.Contains(known, region):
		return nil
	case provider == "GCP":
		return failf(500, "UNEXPECTED_ERROR", "Unexpected error.")
	case provider == "AZURE":
		return errInvalid("regionName")
	}
	return errRegion(region, provider)
}

// tagPattern is what keys and values of tags are made of (docs). Whether Atlas takes letters beyond ASCII is assumed.
var tagPattern = regexp.MustCompile(`^[\p{L}\p{N} ;@_.+-]+$`)

// checkTags applies the rules for tags (docs; the answers are assumed).
func checkTags(tags []Tag) *apiError {
	if len(tags) > maxTags {
		return errInvalid("tags")
	}
	fits := func(s string) bool { return utf8.RuneCountInString(s) <= maxTag && tagPattern.MatchString(s) }
	for _, t := range tags {
		if !fits(t.Key) {
			return errInvalid("tags.key")
		}
		if !fits(t.Value) {
			return errInvalid("tags.value")
		}
	}
	return nil
}

// regions are those of each cloud, as of 2026 (docs). They come and go.
var regions = map[string][]string{
	"AWS": strings.Fields(`US_EAST_1 US_EAST_2 US_WEST_1 US_WEST_2 CA_CENTRAL_1 CA_WEST_1 MX_CENTRAL_1 SA_EAST_1
		EU_NORTH_1 EU_WEST_1 EU_WEST_2 EU_WEST_3 EU_CENTRAL_1 EU_CENTRAL_2 EU_SOUTH_1 EU_SOUTH_2 AF_SOUTH_1
		IL_CENTRAL_1 ME_CENTRAL_1 ME_SOUTH_1 AP_EAST_1 AP_NORTHEAST_1 AP_NORTHEAST_2 AP_NORTHEAST_3 AP_SOUTH_1
		AP_SOUTH_2 AP_SOUTHEAST_1 AP_SOUTHEAST_2 AP_SOUTHEAST_3 AP_SOUTHEAST_4 AP_SOUTHEAST_5 AP_SOUTHEAST_7`),
	"AZURE": strings.Fields(`US_CENTRAL US_EAST US_EAST_2 US_NORTH_CENTRAL US_SOUTH_CENTRAL US_WEST US_WEST_2 US_WEST_3
		US_WEST_CENTRAL CANADA_CENTRAL CANADA_EAST MEXICO_CENTRAL BRAZIL_SOUTH BRAZIL_SOUTHEAST EUROPE_NORTH EUROPE_WEST
		FRANCE_CENTRAL FRANCE_SOUTH GERMANY_NORTH GERMANY_WEST_CENTRAL ITALY_NORTH NORWAY_EAST NORWAY_WEST
		POLAND_CENTRAL SPAIN_CENTRAL SWEDEN_CENTRAL SWEDEN_SOUTH SWITZERLAND_NORTH SWITZERLAND_WEST UK_SOUTH UK_WEST
		ASIA_EAST ASIA_SOUTH_EAST AUSTRALIA_CENTRAL AUSTRALIA_CENTRAL_2 AUSTRALIA_EAST AUSTRALIA_SOUTH_EAST
		INDIA_CENTRAL INDIA_SOUTH INDIA_WEST INDONESIA_CENTRAL JAPAN_EAST JAPAN_WEST KOREA_CENTRAL KOREA_SOUTH
		MALAYSIA_WEST NEW_ZEALAND_NORTH ISRAEL_CENTRAL QATAR_CENTRAL UAE_CENTRAL UAE_NORTH SOUTH_AFRICA_NORTH
		SOUTH_AFRICA_WEST`),
	"GCP": strings.Fields(`CENTRAL_US EASTERN_US US_EAST_4 US_EAST_5 US_SOUTH_1 WESTERN_US US_WEST_2 US_WEST_3 US_WEST_4
		NORTH_AMERICA_NORTHEAST_1 NORTH_AMERICA_NORTHEAST_2 NORTH_AMERICA_SOUTH_1 SOUTH_AMERICA_EAST_1
		SOUTH_AMERICA_WEST_1 WESTERN_EUROPE EUROPE_CENTRAL_2 EUROPE_NORTH_1 EUROPE_SOUTHWEST_1 EUROPE_WEST_2
		EUROPE_WEST_3 EUROPE_WEST_4 EUROPE_WEST_6 EUROPE_WEST_8 EUROPE_WEST_9 EUROPE_WEST_10 EUROPE_WEST_12
		EASTERN_ASIA_PACIFIC NORTHEASTERN_ASIA_PACIFIC SOUTHEASTERN_ASIA_PACIFIC ASIA_EAST_2 ASIA_NORTHEAST_2
		ASIA_NORTHEAST_3 ASIA_SOUTH_1 ASIA_SOUTH_2 ASIA_SOUTHEAST_2 AUSTRALIA_SOUTHEAST_1 AUSTRALIA_SOUTHEAST_2
		MIDDLE_EAST_CENTRAL_1 MIDDLE_EAST_CENTRAL_2 MIDDLE_EAST_WEST_1 AFRICA_SOUTH_1`),
}
