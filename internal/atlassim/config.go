package atlassim

import (
	"log/slog"
	"regexp"
	"time"
)

// Config is everything that can be set on a simulator. A zero means zero: the zero Config is an Atlas without delays
// and without limits, which accepts every request and knows every project. [DefaultConfig] is Atlas as it usually
// behaves; the defaults that the comments name are its.
type Config struct {
	// Credentials accepted; any combination. With none of them set, every request is accepted, whatever Authorization
	// it carries.

	// PublicKey and PrivateKey are an API key, checked by HTTP digest.
	PublicKey  string `json:"publicKey,omitempty"`
	PrivateKey string `json:"privateKey,omitempty"`
	// ClientID and ClientSecret are a service account: they buy tokens at POST /api/oauth/token.
	ClientID     string `json:"clientId,omitempty"`
	ClientSecret string `json:"clientSecret,omitempty"`
	// AccessToken is a bearer token that is simply valid.
	AccessToken string `json:"accessToken,omitempty"`
	// TokenTTL is the life of an issued token. Default 1h (docs: expires_in is 3600). A service account needs one.
	TokenTTL Duration `json:"tokenTTL,omitempty"`
	// TokensPerMinute is how many token requests of a client are answered in any 60 seconds; the next gets 429
	// RATE_LIMITED. 0: no limit. Default 10 (docs).
	TokensPerMinute int `json:"tokensPerMinute,omitempty"`
	// NonceTTL is how long a digest nonce is good for; after that a request with it is challenged anew with
	// stale=true. 0: for ever. Default 60s (Jetty's, assumed).
	NonceTTL Duration `json:"nonceTTL,omitempty"`
	// NonceUses is how often a digest nonce is good: a request whose nc reaches it is challenged anew with
	// stale=true. 0: without end. Default 1024 (Jetty's, assumed).
	NonceUses int `json:"nonceUses,omitempty"`
	// RefuseReplays refuses a digest whose nc is not above the highest of its nonce so far, with 401 and a fresh
	// challenge. Requests that overtake each other on the way are refused by it. Default true (Jetty's, assumed).
	RefuseReplays bool `json:"refuseReplays,omitempty"`
	// StaleReplays says stale=true in the challenge to a replay. Default false (Jetty's, assumed).
	StaleReplays bool `json:"staleReplays,omitempty"`

	// CreateFor is how long a new Flex or M0 cluster is CREATING. Default 8s (recorded).
	CreateFor Duration `json:"createFor,omitempty"`
	// CreateDedicatedFor is how long a new dedicated cluster is CREATING. Default 10m (assumed).
	CreateDedicatedFor Duration `json:"createDedicatedFor,omitempty"`
	// UpdatingFor is an UPDATING period after CREATING, which one recording of an M0 has.
	UpdatingFor Duration `json:"updatingFor,omitempty"`
	// RepairingFor is a REPAIRING period after that, before IDLE.
	RepairingFor Duration `json:"repairingFor,omitempty"`
	// UpdatingAgainAfter is how long after the end of a create or of an upgrade an IDLE cluster goes back to UPDATING
	// by itself, for UpdatingAgainFor.
	UpdatingAgainAfter Duration `json:"updatingAgainAfter,omitempty"`
	UpdatingAgainFor   Duration `json:"updatingAgainFor,omitempty"`
	// NoStringsYet leaves connectionStrings {} while a cluster is CREATING, where Atlas mostly, but not always, has
	// standardSrv (public runs).
	NoStringsYet bool `json:"noStringsYet,omitempty"`
	// HiddenFor is how long after a create GET still answers 404.
	HiddenFor Duration `json:"hiddenFor,omitempty"`
	// StandardAfter is how long a cluster is IDLE before its connectionStrings.standard appears.
	StandardAfter Duration `json:"standardAfter,omitempty"`
	// SharedStandardAfter is the same for an M0. Default 2s (that it lags is from public runs, the time is assumed).
	SharedStandardAfter Duration `json:"sharedStandardAfter,omitempty"`

	// UpdateFor is how long a Flex cluster is UPDATING after a PATCH. Before March 2026 it was about a second; since
	// then the answer is IDLE already (public runs).
	UpdateFor Duration `json:"updateFor,omitempty"`
	// UpdateDedicatedFor is how long a dedicated cluster is UPDATING after a PATCH, whose own answer is always
	// UPDATING. Default 10s (assumed).
	UpdateDedicatedFor Duration `json:"updateDedicatedFor,omitempty"`
	// TrimTags takes spaces around the keys and values of tags away, as Atlas may do.
	TrimTags bool `json:"trimTags,omitempty"`

	// UpgradeFor is how long an upgrade takes. Default 25m (recorded, M0 to M10).
	UpgradeFor Duration `json:"upgradeFor,omitempty"`
	// StaleIdleFor is how long after an upgrade POST a GET still shows the cluster IDLE as it was before.
	StaleIdleFor Duration `json:"staleIdleFor,omitempty"`
	// StaleIdleReads is how many reads after an upgrade POST, of one cluster or of a list, still do. Default 2
	// (public runs).
	StaleIdleReads int `json:"staleIdleReads,omitempty"`

	// DeleteFor is how long it takes until a deleted Flex cluster is gone. Default 30s (recorded: 25 to 47 s).
	DeleteFor Duration `json:"deleteFor,omitempty"`
	// DeleteSharedFor is the same for an M0. Default 26s (public runs: 24 to 29 s).
	DeleteSharedFor Duration `json:"deleteSharedFor,omitempty"`
	// DeleteDedicatedFor is the same for a dedicated cluster. Default 5m (public runs: 2 to 15 min).
	DeleteDedicatedFor Duration `json:"deleteDedicatedFor,omitempty"`
	// DeletingAfter is how long after an accepted delete a cluster still shows its state of before (public runs).
	DeletingAfter Duration `json:"deletingAfter,omitempty"`
	// NameHeldFor is how long a freed name cannot be taken again: a create answers 400
	// CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP.
	NameHeldFor Duration `json:"nameHeldFor,omitempty"`
	// IgnoredDeletes is how many deletes are accepted and then ignored (public runs).
	IgnoredDeletes int `json:"ignoredDeletes,omitempty"`

	// RateLimit is the size of each project's bucket for the flex endpoints. 0: no limit. Default 1200 (recorded).
	RateLimit int `json:"rateLimit,omitempty"`
	// RefillPerMinute is how many requests come back to it a minute. Default 500 (docs).
	RefillPerMinute int `json:"refillPerMinute,omitempty"`
	// NoRateLimitHeaders leaves RateLimit-Limit and RateLimit-Remaining out, as Atlas sometimes does. The limit holds
	// all the same.
	NoRateLimitHeaders bool `json:"noRateLimitHeaders,omitempty"`

	// Groups are the projects that exist; any other answers 404 GROUP_NOT_FOUND. Empty: every well-formed id exists.
	Groups []string `json:"groups,omitempty"`
	// ForeignGroups exist, but the caller has no part in them: 401 NOT_IN_GROUP.
	ForeignGroups []string `json:"foreignGroups,omitempty"`
	// UpgradeRetired makes tenantUpgradeToServerless answer 410 VERSION_GONE, as it does for organizations for which
	// MongoDB has retired it.
	UpgradeRetired bool `json:"upgradeRetired,omitempty"`
	// RetiredVersions are resource versions (such as "2023-02-01") that answer 410 VERSION_GONE on every endpoint
	// that had them.
	RetiredVersions []string `json:"retiredVersions,omitempty"`

	// ServerlessAsFlex lets flexClusters serve what is of serverless origin too, as Atlas does for what it has since
	// turned into Flex (docs). Default: the serverless API alone serves it.
	ServerlessAsFlex bool `json:"serverlessAsFlex,omitempty"`

	// Shared are the shared-tier clusters that are there from the start; see [Server.SeedShared] for later ones.
	Shared []SharedCluster `json:"shared,omitempty"`
	// Faults are there from the start; see [Server.AddFault] for later ones.
	Faults []Fault `json:"faults,omitempty"`

	// Now is the clock. Default time.Now.
	Now func() time.Time `json:"-"`
	// Hook, when set, is called at each [Stage] of each request, from the request's own goroutine and outside the
	// lock; it may block, and may call the Server. Entry is a copy.
	Hook func(Stage, Entry) `json:"-"`
	// Log, when set, gets one line for each request answered.
	Log *slog.Logger `json:"-"`
}

// Stage is a moment in the life of a request, given to [Config.Hook].
type Stage string

// The stages of a request, in order.
const (
	// Arrived: authenticated or refused, and nothing has happened yet. Entry.Effect and Entry.Status are still empty.
	Arrived Stage = "arrived"
	// Applied: it took effect (Entry.Effect), and no byte of the answer has been sent. Left out when a fault kept the
	// request from being carried out.
	Applied Stage = "applied"
	// Answered: the answer is sent (Entry.Status), or is known never to be (0).
	Answered Stage = "answered"
)

var (
	groupPattern   = regexp.MustCompile(`^[a-f0-9]{24}$`)
	versionPattern = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
)

// DefaultConfig is Atlas as it usually behaves: with its delays, its limits and its way with digest nonces. It
// accepts every request and knows every project.
func DefaultConfig() Config {
	return Config{
		TokenTTL: Duration(time.Hour), TokensPerMinute: 10,
		NonceTTL: Duration(time.Minute), NonceUses: 1024, RefuseReplays: true,
		CreateFor: Duration(8 * time.Second), CreateDedicatedFor: Duration(10 * time.Minute),
		SharedStandardAfter: Duration(2 * time.Second),
		UpdateDedicatedFor:  Duration(10 * time.Second),
		UpgradeFor:          Duration(25 * time.Minute), StaleIdleReads: 2,
		DeleteFor: Duration(30 * time.Second), DeleteSharedFor: Duration(26 * time.Second),
		DeleteDedicatedFor: Duration(5 * time.Minute),
		RateLimit:          1200, RefillPerMinute: 500,
	}
}
