package atlassim

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Kind says which of Atlas's APIs serves a cluster.
type Kind string

// The kinds of cluster.
const (
	FLEX       Kind = "FLEX"       // served by flexClusters
	SHARED     Kind = "SHARED"     // M0, served by clusters
	SERVERLESS Kind = "SERVERLESS" // served by serverless
	DEDICATED  Kind = "DEDICATED"  // M10 and larger, served by clusters
)

// Tag is a key and a value on a cluster.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// States that Atlas reports (docs).
const (
	idle      = "IDLE"
	creating  = "CREATING"
	updating  = "UPDATING"
	deleting  = "DELETING"
	repairing = "REPAIRING"
)

const (
	maxName    = 64 // characters of a cluster name (docs)
	hostPrefix = 23 // characters of it that make the host name (docs)
	mongoDB    = "8.0.20"
)

type clusterKey struct{ group, name string }

// cluster is one cluster. Its state is derived from the times in it.
type cluster struct {
	clusterKey
	kind             Kind
	id               string
	created          time.Time
	provider, region string
	tier             string // instance size, such as M0
	tags             []Tag
	protected        bool
	continuousBackup bool
	readyAt, idleAt  time.Time // end of CREATING, of REPAIRING
	hiddenUntil      time.Time
	deletedAt        time.Time // when a delete was accepted; zero: it was not
	pinned           string    // a state set by SetState
	upgrade          *upgrade  // while it runs
	upgraded         bool      // once and for all
}

// stateLocked is what Atlas reports now.
func (s *Server) stateLocked(c *cluster) string {
	now := s.cfg.Now()
	switch {
	case c.pinned != "":
		return c.pinned
	case !c.deletedAt.IsZero():
		return deleting
	case c.upgrade != nil && !s.staleLocked(c):
		return updating
	case now.Before(c.readyAt):
		return creating
	case now.Before(c.idleAt):
		return repairing
	}
	return idle
}

// applyTimeLocked brings about what time has done: deletions and upgrades that are
// over.
func (s *Server) applyTimeLocked() {
	now := s.cfg.Now()
	s.clusters = slices.DeleteFunc(s.clusters, func(c *cluster) bool {
		gone := s.cfg.DeleteFor.after(c.deletedAt)
		if c.deletedAt.IsZero() || now.Before(gone) {
			return false
		}
		s.freed[c.clusterKey] = gone
		return true
	})
	for _, c := range s.clusters {
		if c.upgrade != nil && !now.Before(c.upgrade.until) {
			s.finishUpgradeLocked(c)
		}
	}
}

// findLocked finds a cluster by name, hidden ones included.
func (s *Server) findLocked(group, name string) *cluster {
	for _, c := range s.clusters {
		if c.clusterKey == (clusterKey{group, name}) {
			return c
		}
	}
	return nil
}

// visible is findLocked for the API: right after a create there is nothing to see.
func (c *call) visible() *cluster {
	found := c.s.findLocked(c.group, c.name)
	if found == nil || c.now.Before(found.hiddenUntil) {
		return nil
	}
	return found
}

// addLocked makes a cluster. The caller has checked the
// request.
func (s *Server) addLocked(kind Kind, group string, q FlexRequest) *cluster {
	now := s.cfg.Now()
	c := &cluster{
		clusterKey: clusterKey{group, q.Name}, kind: kind, id: s.newIDLocked(now), created: now,
		tags: slices.Clone(q.Tags), protected: q.TerminationProtectionEnabled,
		provider: q.ProviderSettings.BackingProviderName, region: q.ProviderSettings.RegionName,
		readyAt: s.cfg.CreateFor.after(now), hiddenUntil: s.cfg.HiddenFor.after(now),
	}
	c.idleAt = s.cfg.RepairingFor.after(c.readyAt)
	s.clusters = append(s.clusters, c)
	return c
}

// newIDLocked makes an id of 24 hexadecimal digits that begins with the time, as
// Atlas's do.
func (s *Server) newIDLocked(now time.Time) string {
	s.lastID++
	return fmt.Sprintf("%08x51ab0c4e7d%06x", uint32(now.Unix()), s.lastID)
}

// checkNameFreeLocked answers as Atlas does when a name cannot be taken.
func (s *Server) checkNameFreeLocked(group, name string) *apiError {
	now := s.cfg.Now()
	for _, c := range s.clusters {
		switch {
		case c.group != group:
		case c.name == name:
			return errDuplicate(name, group)
		case strings.EqualFold(prefix(c.name), prefix(name)):
			return errDuplicatePrefix(name)
		}
	}
	freed, once := s.freed[clusterKey{group, name}]
	if once && now.Before(s.cfg.NameHeldFor.after(freed)) {
		return errNameHeld()
	}
	return nil
}

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
	case strings.HasSuffix(prefix(name), "-"):
		return errNamePrefix(name, prefix(name))
	}
	return nil
}

func prefix(name string) string { return name[:min(len(name), hostPrefix)] }

// Regions come and go, and Atlas decides; so does any well-formed one here.
var regionPattern = regexp.MustCompile(`^[A-Z][A-Z0-9_]+$`)

func checkPlace(provider, region string) *apiError {
	switch {
	case provider == "":
		return errMissing("backingProviderName")
	case !slices.Contains([]string{"AWS", "AZURE", "GCP"}, provider):
		return errProvider(provider)
	case !regionPattern.MatchString(region):
		return errRegion(region, provider)
	}
	return nil
}

// checkTags: key and value have 1 to 255 characters (docs).
func checkTags(tags []Tag) *apiError {
	for _, t := range tags {
		if n := len(t.Key); n < 1 || n > 255 {
			return errInvalid("tags.key")
		}
		if n := len(t.Value); n < 1 || n > 255 {
			return errInvalid("tags.value")
		}
	}
	return nil
}

// srvAddress is the cluster's mongodb+srv address, in a domain that resolves nowhere.
func (c *cluster) srvAddress() string {
	return "mongodb+srv://" + strings.ToLower(prefix(c.name)) + "." + c.hash() + ".atlas-sim.invalid"
}

// standardAddress is the cluster's mongodb address: its three nodes by name.
func (c *cluster) standardAddress() string {
	hosts := make([]string, 3)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("ac-%[1]s-shard-00-0%[2]d.%[1]s.atlas-sim.invalid:27017", c.hash(), i)
	}
	return "mongodb://" + strings.Join(hosts, ",") + "/?ssl=true&authSource=admin&replicaSet=atlas-" + c.hash() + "-shard-0"
}

func (c *cluster) hash() string {
	h := fnv.New32a()
	fmt.Fprint(h, c.group, "/", c.name)
	return fmt.Sprintf("%08x", h.Sum32())[:7]
}

// connectionStringsLocked: standardSrv from the start, standard some time after the
// cluster is IDLE (recorded).
func (s *Server) connectionStringsLocked(c *cluster) map[string]any {
	if s.cfg.NoStringsYet && s.cfg.Now().Before(c.readyAt) {
		return map[string]any{}
	}
	out := map[string]any{"standardSrv": c.srvAddress()}
	if !s.cfg.Now().Before(s.cfg.StandardAfter.after(c.idleAt)) {
		out["standard"] = c.standardAddress()
	}
	return out
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// tagList never renders null: no tags are [] (recorded).
func tagList(tags []Tag) []Tag {
	if tags == nil {
		return []Tag{}
	}
	return tags
}
