package atlassim

import (
	"net/http"
	"strings"
)

// upgradeToServerless answers POST clusters/tenantUpgradeToServerless: 200, UPDATING, the old id, in the shape of a
// ServerlessInstanceDescription.
func (c *call) upgradeToServerless() (*answer, *apiError) {
	if c.s.cfg.UpgradeRetired {
		return nil, errVersionGone(c.version, c.path())
	}
	var in struct {
		Name             string `json:"name"`
		ProviderSettings *struct {
			BackingProviderName *string `json:"backingProviderName"`
			RegionName          *string `json:"regionName"`
			ProviderName        string  `json:"providerName"`
			// Read-only (docs).
			DiskSizeLimit any `json:"effectiveDiskSizeGBLimit"`
			InstanceSize  any `json:"effectiveInstanceSizeName"`
			Effective     any `json:"effectiveProviderName"`
		} `json:"providerSettings"`
		Backup struct {
			Continuous *bool `json:"serverlessContinuousBackupEnabled"`
		} `json:"serverlessBackupOptions"`
		Tags      []Tag `json:"tags"`
		Protected bool  `json:"terminationProtectionEnabled"`
	}
	err := decode(c.body, &in,
		"connectionStrings", "createDate", "groupId", "id", "links", "mongoDBVersion", "stateName")
	if err != nil {
		return nil, err
	}
	if err := checkName(in.Name); err != nil {
		return nil, err
	}
	if in.ProviderSettings == nil {
		return nil, errMissing("providerSettings")
	}
	p := in.ProviderSettings
	where := place{BackingProviderName: p.BackingProviderName, RegionName: p.RegionName}
	if err := where.check(); err != nil {
		return nil, err
	}
	if p.ProviderName != "" && p.ProviderName != string(SERVERLESS) {
		return nil, errInvalid("providerName")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	c.name = in.Name
	found, second, err := c.upgradable(SHARED)
	if err != nil {
		return second, err
	}
	before := c.s.viewLocked(found)
	c.startUpgrade(found, SERVERLESS, settings{provider: *p.BackingProviderName, region: *p.RegionName,
		tags: in.Tags, protected: in.Protected,
		continuousBackup: in.Backup.Continuous == nil || *in.Backup.Continuous}) // default true (docs)
	before.state, before.settings.tags, before.settings.protected = updating, in.Tags, in.Protected
	return c.answer(http.StatusOK, c.serverless(before), Upgraded), nil
}

// tenantUpgradeRequest is a LegacyAtlasTenantClusterUpgradeRequest, with the attributes that are of effect here.
// otherTenantAttributes are taken and forgotten.
type tenantUpgradeRequest struct {
	Name             string `json:"name"`
	ClusterType      string `json:"clusterType"`
	ProviderSettings *struct {
		ProviderName        string  `json:"providerName"`
		InstanceSizeName    string  `json:"instanceSizeName"`
		BackingProviderName *string `json:"backingProviderName"`
		RegionName          *string `json:"regionName"`
		AutoScaling         any     `json:"autoScaling"`
		DiskIOPS            any     `json:"diskIOPS"`
		DiskTypeName        any     `json:"diskTypeName"`
		EncryptEBSVolume    any     `json:"encryptEBSVolume"`
		VolumeType          any     `json:"volumeType"`
		EffectiveSize       any     `json:"effectiveInstanceSizeName"`
	} `json:"providerSettings"`
	Tags       *[]Tag  `json:"tags"`
	Protected  *bool   `json:"terminationProtectionEnabled"`
	Backup     *bool   `json:"providerBackupEnabled"` // asks for backup, and comes back as backupEnabled (public runs)
	DiskSizeGB float64 `json:"diskSizeGB"`
}

// The rest of the writable attributes, then the read-only ones, which clients send back as they got them (docs).
var otherTenantAttributes = strings.Fields(`acceptDataRisksAndForceReplicaSetReconfig advancedConfiguration autoScaling
	backupEnabled biConnector configServerManagementMode connectionStrings deleteAfterCreationHours diskWarmingMode
	encryptionAtRestProvider globalClusterSelfManagedSharding labels mongoDBEmployeeAccessGrant mongoDBMajorVersion
	mongoDBVersion numShards paused pitEnabled replicaSetScalingStrategy replicationFactor replicationSpec
	replicationSpecs rootCertType versionReleaseSystem

	configServerType createDate deleteAfterDate featureCompatibilityVersion
	featureCompatibilityVersionExpirationDate groupId id links mongoURI mongoURIUpdated mongoURIWithOptions srvAddress
	stateName`)

// target checks the request and says what it asks for: Flex for the provider FLEX, else a dedicated cluster of M10 or
// larger.
func (q tenantUpgradeRequest) target() (Kind, settings, *apiError) {
	var none settings
	p := q.ProviderSettings
	switch {
	case p == nil:
		return "", none, errMissing("providerSettings")
	case p.ProviderName == "":
		return "", none, errMissing("providerName")
	case p.InstanceSizeName == "":
		return "", none, errMissing("instanceSizeName")
	case q.ClusterType != "" && q.ClusterType != "REPLICASET":
		return "", none, errInvalid("clusterType") // the code is assumed
	}
	kind, backing := FLEX, p.BackingProviderName
	if p.ProviderName != string(FLEX) { // dedicated: the provider is its own backing
		kind, backing = DEDICATED, &p.ProviderName
	}
	where := place{BackingProviderName: backing, RegionName: p.RegionName}
	if err := where.check(); err != nil {
		return "", none, err
	}
	flexSize := p.InstanceSizeName == string(FLEX)
	if (kind == FLEX) != flexSize || kind == DEDICATED && !dedicatedSize(p.InstanceSizeName) {
		return "", none, errInvalid("instanceSizeName")
	}
	if q.Tags != nil {
		if err := checkTags(*q.Tags); err != nil {
			return "", none, err
		}
	}
	return kind, settings{
		provider: *backing, region: *p.RegionName, tier: p.InstanceSizeName, diskGB: q.DiskSizeGB,
	}, nil
}

// upgradeTenant answers POST clusters/tenantUpgrade: an M0 becomes Flex, or dedicated when an instance size of M10 or
// larger is asked for. The answer is a LegacyAtlasCluster (recorded).
func (c *call) upgradeTenant() (*answer, *apiError) {
	var in tenantUpgradeRequest
	if err := decode(c.body, &in, otherTenantAttributes...); err != nil {
		return nil, err
	}
	if err := checkName(in.Name); err != nil {
		return nil, err
	}
	kind, wanted, err := in.target()
	if err != nil {
		return nil, err
	}
	c.name = in.Name
	found, second, err := c.upgradable(SHARED)
	if err != nil {
		return second, err
	}
	if kind == FLEX && found.settings.tier != "M0" {
		return nil, errGeneral("Only an M0 cluster can be upgraded to Flex") // the text is assumed
	}
	// What the request leaves out stays as it is.
	wanted.tags, wanted.protected, wanted.backup = found.settings.tags, found.settings.protected, found.settings.backup
	if in.Tags != nil {
		wanted.tags = *in.Tags
	}
	setBool(&wanted.protected, in.Protected)
	setBool(&wanted.backup, in.Backup)
	before := c.s.viewLocked(found) // everything as it was, but for the tags (recorded)
	started := c.startUpgrade(found, kind, wanted)
	started.newTags = true
	before.state, before.settings.tags = updating, started.settings.tags
	return c.answer(http.StatusOK, c.legacy(before), Upgraded), nil
}

// upgradeToDedicated answers POST flexClusters:tenantUpgrade: Flex, or an M0, to dedicated. The answer has Flex's
// shape and the old values; for an M0 that is assumed.
func (c *call) upgradeToDedicated() (*answer, *apiError) {
	var in clusterRequest
	if err := decode(c.body, &in, otherAttributes...); err != nil {
		return nil, err
	}
	if err := checkName(in.Name); err != nil {
		return nil, err
	}
	if len(in.ReplicationSpecs) == 0 || len(in.ReplicationSpecs[0].RegionConfigs) == 0 {
		return nil, errMissing("replicationSpecs")
	}
	if !dedicatedSize(in.ReplicationSpecs[0].RegionConfigs[0].ElectableSpecs.InstanceSize) {
		return nil, errInvalid("instanceSize")
	}
	c.name = in.Name
	found, second, err := c.upgradable(FLEX, SHARED)
	if err != nil {
		return second, err
	}
	wanted := found.settings
	if err := in.apply(&wanted); err != nil {
		return nil, err
	}
	before := c.s.viewLocked(found)
	before.state = updating
	c.startUpgrade(found, DEDICATED, wanted)
	return c.answer(http.StatusOK, before.flex(), Upgraded), nil
}
