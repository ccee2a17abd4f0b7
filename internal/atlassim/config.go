package atlassim

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Config is everything that can be set on a simulator. A zero means zero: the
// zero Config is an Atlas without delays and without limits, which accepts
// every request and knows every project. [DefaultConfig] is Atlas as it
// usually behaves; the defaults that the comments name are its.
type Config struct {
	// Credentials accepted; any combination. With none of them set, every
	// request is accepted, whatever Authorization it carries.

	// PublicKey and PrivateKey are an API key, checked by HTTP digest.
	PublicKey  string `json:"publicKey,omitempty"`
	PrivateKey string `json:"privateKey,omitempty"`
	// ClientID and ClientSecret are a service account: they buy tokens at
	// POST /api/oauth/token.
	ClientID     string `json:"clientId,omitempty"`
	ClientSecret string `json:"clientSecret,omitempty"`
	// AccessToken is a bearer token that is simply valid.
	AccessToken string `json:"accessToken,omitempty"`
	// TokenTTL is the life of an issued token. Default 1h (docs: expires_in
	// is 3600). A service account needs one.
	TokenTTL Duration `json:"tokenTTL,omitempty"`
	// TokensPerMinute is how many token requests of a client are answered in
	// any 60 seconds; the next gets 429 RATE_LIMITED. 0: no limit. Default 10
	// (docs).
	TokensPerMinute int `json:"tokensPerMinute,omitempty"`
	// NonceTTL is how long a digest nonce is good for; after that a request
	// with it is challenged anew with stale=true. 0: for ever.
	NonceTTL Duration `json:"nonceTTL,omitempty"`

	// CreateFor is how long a new cluster is CREATING. Default 8s (recorded).
	CreateFor Duration `json:"createFor,omitempty"`
	// RepairingFor is a REPAIRING period between CREATING and IDLE.
	RepairingFor Duration `json:"repairingFor,omitempty"`
	// NoStringsYet leaves connectionStrings {} while a cluster is CREATING,
	// where Atlas mostly, but not always, has standardSrv (public runs).
	NoStringsYet bool `json:"noStringsYet,omitempty"`
	// HiddenFor is how long after a create GET still answers 404.
	HiddenFor Duration `json:"hiddenFor,omitempty"`
	// StandardAfter is how long a cluster is IDLE before its
	// connectionStrings.standard appears.
	StandardAfter Duration `json:"standardAfter,omitempty"`
	// UpgradeFor is how long an upgrade takes. Default 25m (recorded, M0 to
	// M10).
	UpgradeFor Duration `json:"upgradeFor,omitempty"`
	// StaleIdleFor is how long after an upgrade POST a GET still shows the
	// cluster IDLE as it was before.
	StaleIdleFor Duration `json:"staleIdleFor,omitempty"`
	// DeleteFor is how long a cluster is DELETING before it is gone. Default
	// 30s (recorded).
	DeleteFor Duration `json:"deleteFor,omitempty"`
	// NameHeldFor is how long a freed name cannot be taken again: a create
	// answers 400 CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP.
	NameHeldFor Duration `json:"nameHeldFor,omitempty"`
	// IgnoredDeletes is how many deletes are answered 204 and then ignored.
	IgnoredDeletes int `json:"ignoredDeletes,omitempty"`

	// RateLimit is the size of each project's bucket for the flex endpoints.
	// 0: no limit. Default 1200 (recorded).
	RateLimit int `json:"rateLimit,omitempty"`
	// RefillPerMinute is how many requests come back to it a minute. Default
	// 500 (docs).
	RefillPerMinute int `json:"refillPerMinute,omitempty"`
	// NoRateLimitHeaders leaves RateLimit-Limit and RateLimit-Remaining out,
	// as Atlas sometimes does. The limit holds all the same.
	NoRateLimitHeaders bool `json:"noRateLimitHeaders,omitempty"`

	// Groups are the projects that exist; any other answers 404
	// GROUP_NOT_FOUND. Empty: every well-formed id exists.
	Groups []string `json:"groups,omitempty"`
	// ForeignGroups exist, but the caller has no part in them: 401
	// NOT_IN_GROUP.
	ForeignGroups []string `json:"foreignGroups,omitempty"`
	// UpgradeRetired makes tenantUpgradeToServerless answer 410 VERSION_GONE,
	// as it does for organizations for which MongoDB has retired it.
	UpgradeRetired bool `json:"upgradeRetired,omitempty"`
	// RetiredVersions are resource versions (such as "2023-02-01") that
	// answer 410 VERSION_GONE on every endpoint that had them.
	RetiredVersions []string `json:"retiredVersions,omitempty"`

	// ServerlessAsFlex lets flexClusters serve what is of serverless origin
	// too, as Atlas does for what it has since turned into Flex (docs).
	// Default: the serverless API alone serves it.
	ServerlessAsFlex bool `json:"serverlessAsFlex,omitempty"`

	// Shared are the shared-tier clusters that are there from the start; see
	// [Server.SeedShared] for later ones.
	Shared []SharedCluster `json:"shared,omitempty"`
	// Faults are there from the start; see [Server.AddFault] for later ones.
	Faults []Fault `json:"faults,omitempty"`

	// Now is the clock. Default time.Now.
	Now func() time.Time `json:"-"`
	// Hook, when set, is called at each [Stage] of each request, from the
	// request's own goroutine and outside the lock; it may block, and may
	// call the Server. Entry is a copy.
	Hook func(Stage, Entry) `json:"-"`
	// Log, when set, gets one line for each request answered.
	Log *slog.Logger `json:"-"`
}

// Stage is a moment in the life of a request, given to [Config.Hook].
type Stage string

// The stages of a request, in order.
const (
	// Arrived: authenticated or refused, and nothing has happened yet.
	// Entry.Effect and Entry.Status are still empty.
	Arrived Stage = "arrived"
	// Applied: it took effect (Entry.Effect), and no byte of the answer has
	// been sent. Left out when a fault kept the request from being carried out.
	Applied Stage = "applied"
	// Answered: the answer is sent (Entry.Status), or is known never to be (0).
	Answered Stage = "answered"
)

var (
	groupPattern   = regexp.MustCompile(`^[a-f0-9]{24}$`)
	versionPattern = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
)

// DefaultConfig is Atlas as it usually behaves: with its delays, its limits and its way with digest nonces. It accepts
// every request and knows every project.
func DefaultConfig() Config {
	return Config{
		TokenTTL: Duration(time.Hour), TokensPerMinute: 10,
		CreateFor: Duration(8 * time.Second), UpgradeFor: Duration(25 * time.Minute), DeleteFor: Duration(30 * time.Second),
		RateLimit: 1200, RefillPerMinute: 500,
	}
}

// Validate names everything that is wrong with c, one error for each mistake,
// joined by [errors.Join].
func (c Config) Validate() error {
	var errs []error
	pair := func(a, b, names string) {
		if (a == "") != (b == "") {
			errs = append(errs, fmt.Errorf("%s: set both or neither", names))
		}
	}
	pair(c.PublicKey, c.PrivateKey, "publicKey and privateKey")
	pair(c.ClientID, c.ClientSecret, "clientId and clientSecret")
	settings := reflect.ValueOf(c)
	for i := range settings.NumField() {
		name, _, _ := strings.Cut(settings.Type().Field(i).Tag.Get("json"), ",")
		switch value := settings.Field(i).Interface().(type) {
		case Duration:
			if value < 0 {
				errs = append(errs, fmt.Errorf("%s: %s must not be negative", name, value))
			}
		case int:
			if value < 0 {
				errs = append(errs, fmt.Errorf("%s: %d must not be negative", name, value))
			}
		}
	}
	if c.ClientID != "" && c.TokenTTL == 0 {
		errs = append(errs, errors.New("tokenTTL: 0 makes tokens that are never good; DefaultConfig has an hour"))
	}
	if c.RateLimit > 0 && c.RefillPerMinute == 0 {
		errs = append(errs, errors.New("refillPerMinute: 0 never fills the bucket of rateLimit again"))
	}
	for _, id := range slices.Concat(c.Groups, c.ForeignGroups) {
		if !groupPattern.MatchString(id) {
			errs = append(errs, fmt.Errorf("groups: %q is not 24 hexadecimal digits", id))
		}
	}
	for _, v := range c.RetiredVersions {
		if !versionPattern.MatchString(v) {
			errs = append(errs, fmt.Errorf("retiredVersions: %q is not a date like 2023-02-01", v))
		}
	}
	for _, seed := range c.Shared {
		if err := seed.Validate(); err != nil {
			errs = append(errs, err)
		}
	}
	for i, f := range c.Faults {
		if err := f.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("faults[%d]: %s", i, strings.ReplaceAll(err.Error(), "\n", "; ")))
		}
	}
	return errors.Join(errs...)
}
