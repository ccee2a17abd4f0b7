package atlassim

import (
	"net/http"
	"slices"
	"strings"
)

// The cluster API: M0 and dedicated clusters.

// servedByClusterAPI says whether the cluster API serves the cluster, and if not, how it answers.
func (c *call) servedByClusterAPI(found *cluster) *apiError {
	switch {
	case found == nil:
		return errNotFound(c.name, c.group)
	case found.kind == FLEX:
		return errFlexInClusterAPI(c.name)
	case found.kind == SERVERLESS:
		return errServerlessInClusterAPI(c.name)
	}
	return nil
}

func (c *call) getCluster() (*answer, *apiError) {
	found := c.visible()
	if err := c.servedByClusterAPI(found); err != nil {
		return nil, err
	}
	return c.ok(c.describe(c.s.viewLocked(found))), nil
}

func (c *call) listClusters() (*answer, *apiError) {
	return c.list(func(x *cluster) any {
		if c.servedByClusterAPI(x) != nil {
			return nil
		}
		return c.describe(c.s.viewLocked(x))
	})
}

// clusterRequest is the body that makes, changes or upgrades a cluster. It has the attributes that are of effect
// here; otherAttributes are taken and forgotten.
type clusterRequest struct {
	Name             string  `json:"name"`
	ClusterType      string  `json:"clusterType"`
	Tags             *[]Tag  `json:"tags"`
	Protected        *bool   `json:"terminationProtectionEnabled"`
	Backup           *bool   `json:"backupEnabled"`
	Paused           *bool   `json:"paused"`
	DiskSizeGB       float64 `json:"diskSizeGB"` // of 2023-02-01; later versions have it in the specs
	ReplicationSpecs []struct {
		ID            any            `json:"id"`
		ZoneID        any            `json:"zoneId"`
		ZoneName      string         `json:"zoneName"`
		NumShards     any            `json:"numShards"`
		RegionConfigs []regionConfig `json:"regionConfigs"`
	} `json:"replicationSpecs"`
}

// regionConfig says where a cluster's nodes are, and how large.
type regionConfig struct {
	ProviderName        string `json:"providerName"`
	BackingProviderName string `json:"backingProviderName"`
	RegionName          string `json:"regionName"`
	ElectableSpecs      struct {
		InstanceSize          string  `json:"instanceSize"`
		DiskSizeGB            float64 `json:"diskSizeGB"`
		NodeCount             any     `json:"nodeCount"`
		DiskIOPS              any     `json:"diskIOPS"`
		DiskThroughput        any     `json:"diskThroughput"`
		EBSVolumeType         any     `json:"ebsVolumeType"`
		EffectiveInstanceSize any     `json:"effectiveInstanceSize"`
	} `json:"electableSpecs"`
	Priority                any `json:"priority"`
	AnalyticsAutoScaling    any `json:"analyticsAutoScaling"`
	AnalyticsSpecs          any `json:"analyticsSpecs"`
	AutoScaling             any `json:"autoScaling"`
	ReadOnlySpecs           any `json:"readOnlySpecs"`
	EffectiveAnalyticsSpecs any `json:"effectiveAnalyticsSpecs"`
	EffectiveElectableSpecs any `json:"effectiveElectableSpecs"`
	EffectiveReadOnlySpecs  any `json:"effectiveReadOnlySpecs"`
}

// otherAttributes are the rest of ClusterDescription20240805 (docs), the read-only ones among them, which clients
// send back as they got them.
var otherAttributes = strings.Fields(`acceptDataRisksAndForceReplicaSetReconfig adaptiveCapacity advancedConfiguration
	biConnector configServerManagementMode configServerType connectionStrings createDate diskWarmingMode
	effectiveDatabaseEdition effectiveReplicationSpecs encryptionAtRestProvider featureCompatibilityVersion
	featureCompatibilityVersionExpirationDate globalClusterSelfManagedSharding groupId id internalClusterRole labels
	links mongoDBEmployeeAccessGrant mongoDBMajorVersion mongoDBVersion pitEnabled redactClientLogData
	replicaSetScalingStrategy retainBackups rootCertType stateName useAwsTimeBasedSnapshotCopyForFastInitialSync
	versionReleaseSystem`)

// apply checks the request and applies it to what a cluster has. Attributes that were left out stay as they are.
func (q clusterRequest) apply(to *settings) *apiError {
	if q.ClusterType != "" && q.ClusterType != "REPLICASET" {
		return errInvalid("clusterType") // the code is assumed
	}
	if len(q.ReplicationSpecs) > 0 && len(q.ReplicationSpecs[0].RegionConfigs) > 0 {
		// Only the first region of the first shard is looked at.
		region, zone := q.ReplicationSpecs[0].RegionConfigs[0], q.ReplicationSpecs[0].ZoneName
		provider := region.ProviderName
		if region.BackingProviderName != "" {
			provider = region.BackingProviderName
		}
		if err := checkPlace(provider, region.RegionName); err != nil {
			return err
		}
		to.provider, to.region, to.tier = provider, region.RegionName, region.ElectableSpecs.InstanceSize
		if zone != "" {
			to.zone = zone
		}
		to.diskGB = max(q.DiskSizeGB, region.ElectableSpecs.DiskSizeGB)
	}
	if q.Tags != nil {
		if err := checkTags(*q.Tags); err != nil {
			return err
		}
		to.tags = *q.Tags
	}
	setBool(&to.protected, q.Protected)
	setBool(&to.backup, q.Backup)
	setBool(&to.paused, q.Paused)
	return nil
}

// setBool sets what the request has.
func setBool(to, from *bool) {
	if from != nil {
		*to = *from
	}
}

// tenant says whether the request asks for an M0.
func (q clusterRequest) tenant() bool {
	return len(q.ReplicationSpecs) > 0 && len(q.ReplicationSpecs[0].RegionConfigs) > 0 &&
		q.ReplicationSpecs[0].RegionConfigs[0].ProviderName == "TENANT"
}

// createCluster answers POST clusters: an M0 for the provider TENANT, one in a project, or a dedicated cluster.
func (c *call) createCluster() (*answer, *apiError) {
	var in clusterRequest
	if err := decode(c.body, &in, otherAttributes...); err != nil {
		return nil, err
	}
	if err := checkName(in.Name); err != nil {
		return nil, err
	}
	var wanted settings
	if err := in.apply(&wanted); err != nil {
		return nil, err
	}
	kind := DEDICATED
	switch {
	case wanted.tier == "":
		return nil, errMissing("replicationSpecs")
	case in.tenant() && wanted.tier == "M0":
		kind = SHARED
	case in.tenant() || !dedicatedSize(wanted.tier):
		return nil, errInvalid("instanceSize")
	}
	if err := c.s.checkNameFreeLocked(c.group, in.Name); err != nil {
		return nil, err
	}
	if kind == SHARED && slices.ContainsFunc(c.s.clusters, func(x *cluster) bool {
		return x.key.group == c.group && x.kind == SHARED
	}) {
		return nil, errSecondFree()
	}
	made := c.s.addLocked(kind, clusterKey{group: c.group, name: in.Name}, wanted)
	out := c.describe(c.s.viewLocked(made))
	if len(wanted.tags) == 0 {
		delete(out, "tags") // recorded
	}
	return c.answer(http.StatusCreated, out, Created), nil
}

// patchCluster answers PATCH clusters/{name}: UPDATING, for dedicated clusters in every recorded answer. That an M0
// takes tags and protection at once is assumed.
func (c *call) patchCluster() (*answer, *apiError) {
	found := c.visible()
	if err := c.servedByClusterAPI(found); err != nil {
		return nil, err
	}
	var in clusterRequest
	if err := decode(c.body, &in, otherAttributes...); err != nil {
		return nil, err
	}
	switch {
	case !found.deletedAt.IsZero():
		return nil, errDeleting()
	case found.settings.paused && (in.Paused == nil || *in.Paused):
		return nil, errPaused(c.name)
	}
	wanted := found.settings
	if err := in.apply(&wanted); err != nil {
		return nil, err
	}
	if found.kind == DEDICATED && !dedicatedSize(wanted.tier) {
		return nil, errInvalid("instanceSize")
	}
	wanted.tags = c.s.storedTags(wanted.tags)
	found.settings = wanted
	if found.kind == DEDICATED {
		found.patchedUntil = c.s.cfg.UpdateDedicatedFor.after(c.now)
	}
	out := c.describe(c.s.viewLocked(found))
	if found.kind == DEDICATED {
		out["stateName"] = updating
	}
	return c.answer(http.StatusOK, out, Updated), nil
}

// deleteCluster answers DELETE clusters/{name}: 202 and {} (recorded).
func (c *call) deleteCluster() (*answer, *apiError) {
	found := c.visible()
	if err := c.servedByClusterAPI(found); err != nil {
		return nil, err
	}
	switch {
	case !found.deletedAt.IsZero():
		return nil, errDeleting()
	case found.settings.protected:
		return nil, errProtected(c.name, c.group)
	}
	return c.deleted(found, c.answer(http.StatusAccepted, map[string]any{}, Deleted)), nil
}

// dedicatedSize tells M10 and larger from the shared sizes.
func dedicatedSize(size string) bool {
	return len(size) >= 3 && (strings.HasPrefix(size, "M") || strings.HasPrefix(size, "R"))
}
