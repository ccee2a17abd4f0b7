package contract

import (
	"strings"
	"time"
)

// Outcome says what a run did.
type Outcome string

const (
	// Created: this run made the cluster.
	Created Outcome = "CREATED"
	// Updated: this run changed the cluster to what was asked, or took it over.
	Updated Outcome = "UPDATED"
	// Upgraded: this run upgraded the cluster.
	Upgraded Outcome = "UPGRADED"
	// Deleted: this run deleted the cluster.
	Deleted Outcome = "DELETED"
	// Unchanged: the cluster already was as asked, or gone where it was to be deleted.
	Unchanged Outcome = "UNCHANGED"
)

// The kinds of cluster that a run ends with, as clusterType in a result.
const (
	ClusterTypeFlex       = "FLEX"
	ClusterTypeServerless = "SERVERLESS"
	ClusterTypeDedicated  = "DEDICATED"
)

// The states of a cluster, as Atlas names them (https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/, stateName).
const (
	StateIdle      = "IDLE"
	StateCreating  = "CREATING"
	StateUpdating  = "UPDATING"
	StateDeleting  = "DELETING"
	StateRepairing = "REPAIRING"
	// StateDeleted is our own, not Atlas's: a cluster that is gone, in the result of [DeleteCluster].
	StateDeleted = "DELETED"
)

// ConnectionStrings are the addresses of a cluster. They carry no credentials.
type ConnectionStrings struct {
	// Standard begins with mongodb://. Serverless instances have none.
	Standard string `json:"standard,omitempty"`
	// StandardSrv begins with mongodb+srv://.
	StandardSrv string `json:"standardSrv,omitempty"`
}

// Cluster is the result of every operation on a cluster: as Atlas showed it last.
type Cluster struct {
	ID      string `json:"id"`
	GroupID string `json:"groupId"`
	Name    string `json:"name"`
	// ClusterType is FLEX, DEDICATED or SERVERLESS: the kind of cluster, not its topology. It is empty where a cluster
	// that was to be deleted was gone already.
	ClusterType                  string            `json:"clusterType"`
	StateName                    string            `json:"stateName"`
	MongoDBVersion               string            `json:"mongoDBVersion"`
	CreateDate                   time.Time         `json:"createDate"`
	ConnectionStrings            ConnectionStrings `json:"connectionStrings"`
	ProviderSettings             ProviderSettings  `json:"providerSettings"`
	Tags                         []Tag             `json:"tags"`
	TerminationProtectionEnabled bool              `json:"terminationProtectionEnabled"`
	Outcome                      Outcome           `json:"outcome"`
	// Warnings carry what Atlas says of itself, such as the Sunset date of an endpoint that was used.
	Warnings []string `json:"warnings"`
}

// Ready is whether the cluster is IDLE with all its connection strings. A serverless instance has no other than
// standardSrv (https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/, ServerlessInstanceDescription).
func (c Cluster) Ready() bool {
	s := c.ConnectionStrings
	hasStandard := s.Standard != "" || c.ClusterType == ClusterTypeServerless
	return c.StateName == StateIdle && s.StandardSrv != "" && hasStandard
}

// Fields are the fields that a request can ask for, by name.
func (c Cluster) Fields() Fields {
	return clusterFields(c.ProviderSettings, c.Tags, c.TerminationProtectionEnabled)
}

// Owner is the id of the workflow that owns the cluster, by its ownership tag; "" where it has none.
func (c Cluster) Owner() string {
	for _, t := range c.Tags {
		if t.Key == OwnershipTag {
			return t.Value
		}
	}
	return ""
}

// OwnedBy reports whether the ownership tag is that of a workflow. Atlas may have trimmed the tag.
func (c Cluster) OwnedBy(workflowID string) bool {
	return c.Owner() != "" && strings.TrimSpace(c.Owner()) == strings.TrimSpace(workflowID)
}
