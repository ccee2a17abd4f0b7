package atlassim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// SharedCluster is an M0 that is there already, for an upgrade to begin with.
type SharedCluster struct {
	GroupID string `json:"groupId"`
	Name    string `json:"name"`
	// BackingProviderName defaults to AWS, RegionName to US_EAST_1, Tier to M0.
	BackingProviderName          string `json:"backingProviderName,omitempty"`
	RegionName                   string `json:"regionName,omitempty"`
	Tier                         string `json:"tier,omitempty"`
	Tags                         []Tag  `json:"tags,omitempty"`
	TerminationProtectionEnabled bool   `json:"terminationProtectionEnabled,omitempty"`
}

func (c SharedCluster) withDefaults() SharedCluster {
	c.BackingProviderName = cmp.Or(c.BackingProviderName, "AWS")
	c.RegionName = cmp.Or(c.RegionName, "US_EAST_1")
	c.Tier = cmp.Or(c.Tier, "M0")
	return c
}

func (c SharedCluster) request() FlexRequest {
	return FlexRequest{Name: c.Name, Tags: c.Tags, TerminationProtectionEnabled: c.TerminationProtectionEnabled,
		ProviderSettings: FlexProvider{BackingProviderName: c.BackingProviderName, RegionName: c.RegionName}}
}

// Validate says what is wrong with a cluster that somebody typed.
func (c SharedCluster) Validate() error {
	if !groupPattern.MatchString(c.GroupID) {
		return fmt.Errorf("shared cluster %q: project id %q is not 24 hexadecimal digits", c.Name, c.GroupID)
	}
	if err := c.withDefaults().request().check(); err != nil {
		return fmt.Errorf("shared cluster %q: %s", c.Name, err.detail)
	}
	return nil
}

// SeedShared puts an IDLE shared-tier cluster in place, instead of whatever had its name, and however many M0 the
// project has. It panics on a cluster that fails Validate.
func (s *Server) SeedShared(seed SharedCluster) {
	if err := seed.Validate(); err != nil {
		panic("atlassim: " + err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seed = seed.withDefaults()
	key := clusterKey{group: seed.GroupID, name: seed.Name}
	s.clusters = slices.DeleteFunc(s.clusters, func(c *cluster) bool { return c.key == key })
	wanted := seed.request().settings()
	wanted.tier = seed.Tier
	c := s.addLocked(SHARED, key, wanted)
	// It has been there for a while: IDLE, visible, with all its strings.
	c.created = c.created.Add(-24 * time.Hour)
	c.readyAt, c.updatedAt, c.idleAt, c.hiddenUntil = c.created, c.created, c.created, c.created
}

// CreateFlex is somebody else creating a cluster: no credential, no fault, no rate limit, no ledger entry. The error
// is the one Atlas would answer.
func (s *Server) CreateFlex(groupID string, q FlexRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applyTimeLocked()
	if !groupPattern.MatchString(groupID) {
		return errors.New(errGroupID(groupID).detail)
	}
	err := q.check()
	if err == nil {
		err = s.checkNameFreeLocked(groupID, q.Name)
	}
	if err != nil {
		return fmt.Errorf("%s: %s", err.code, err.detail)
	}
	s.addLocked(FLEX, clusterKey{group: groupID, name: q.Name}, q.settings())
	return nil
}

// Delete is somebody else deleting a cluster of any kind: it is DELETING for as long as the Config says for its kind,
// then gone. Termination protection is no hindrance.
func (s *Server) Delete(groupID, name string) error {
	return s.changeCluster(groupID, name, func(c *cluster) {
		c.deletedAt, c.upgrade = s.cfg.Now(), nil
	})
}

// Update is somebody else changing the tags of a cluster and its termination protection. nil leaves them as they are.
func (s *Server) Update(groupID, name string, tags []Tag, protected *bool) error {
	return s.changeCluster(groupID, name, func(c *cluster) {
		if tags != nil {
			c.settings.tags = s.storedTags(tags)
		}
		setBool(&c.settings.protected, protected)
	})
}

// SetState pins the state a cluster reports, such as "REPAIRING", until it is set to "" again. What happens
// underneath, the end of a deletion or of an upgrade, still happens in its time.
func (s *Server) SetState(groupID, name, state string) error {
	return s.changeCluster(groupID, name, func(c *cluster) { c.pinned = state })
}

func (s *Server) changeCluster(groupID, name string, change func(*cluster)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applyTimeLocked()
	c := s.findLocked(groupID, name)
	if c == nil {
		return errors.New(errNotFound(name, groupID).detail)
	}
	change(c)
	return nil
}

// Cluster is what there is of one cluster at the moment of a snapshot.
type Cluster struct {
	GroupID                      string    `json:"groupId"`
	Name                         string    `json:"name"`
	Kind                         Kind      `json:"kind"`
	State                        string    `json:"state"`
	ID                           string    `json:"id"`
	CreateDate                   time.Time `json:"createDate"`
	BackingProviderName          string    `json:"backingProviderName"`
	RegionName                   string    `json:"regionName"`
	Tags                         []Tag     `json:"tags"`
	TerminationProtectionEnabled bool      `json:"terminationProtectionEnabled"`
	// ContinuousBackup is serverlessContinuousBackupEnabled, for SERVERLESS.
	ContinuousBackup bool `json:"continuousBackup,omitempty"`
	// InstanceSizeName is the size, such as M10, for SHARED and DEDICATED.
	InstanceSizeName string `json:"instanceSizeName,omitempty"`
	// BackupEnabled is for SHARED and DEDICATED.
	BackupEnabled bool `json:"backupEnabled,omitempty"`
}

// Clusters is a snapshot of what there is, in order of creation, clusters that GET hides included. Unlike the API, it
// shows the tags of a cluster that is being deleted.
func (s *Server) Clusters() []Cluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applyTimeLocked()
	out := make([]Cluster, len(s.clusters))
	for i, c := range s.clusters {
		has := c.settings
		out[i] = Cluster{GroupID: c.key.group, Name: c.key.name, Kind: c.kind, State: s.stateLocked(c), ID: c.id,
			CreateDate: c.created, BackingProviderName: has.provider, RegionName: has.region,
			Tags: slices.Clone(tagList(has.tags)), TerminationProtectionEnabled: has.protected,
			ContinuousBackup: has.continuousBackup, InstanceSizeName: has.tier, BackupEnabled: has.backup}
	}
	return out
}
