package atlassim

import (
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// call is one admitted request on its way through the endpoints. The lock is held for all of its life.
type call struct {
	s      *Server
	r      *http.Request
	body   []byte
	now    time.Time
	header http.Header // for the answer, whatever it is

	group, name string // from the path
	version     string // the resource version served; noVersion in the old API
	javaMethod  string // for X-Java-Method
}

// route answers a request that may go on.
func (c *call) route() *answer {
	a, err := c.serve()
	if err != nil {
		second := a != nil && a.second
		a = err.answer()
		a.second = second
	}
	for k, v := range c.header {
		a.header[k] = v
	}
	addRecordedHeaders(a.header, c.javaMethod)
	c.present(a)
	return a
}

// serve finds the endpoint and passes the checks that all share, in Atlas's order as far as the recorded headers show
// it: version, project, rate limit.
func (c *call) serve() (*answer, *apiError) {
	path := strings.Trim(c.r.URL.EscapedPath(), "/")
	if path == "api/atlas/v2" {
		return c.systemStatus()
	}
	table := endpoints
	tail, found := strings.CutPrefix(path, "api/atlas/v2/groups/")
	if !found {
		table = oldEndpoints
		tail, found = strings.CutPrefix(path, "api/atlas/v1.0/groups/")
		c.version = noVersion
	}
	group, tail, _ := strings.Cut(tail, "/")
	e, name := find(table, c.r.Method, tail)
	switch {
	case !found || e == nil:
		return nil, errResource(c.r.URL.Path)
	case e.serve == nil:
		return nil, errMethod()
	}
	c.group, c.name, c.javaMethod = group, name, e.javaMethod

	if c.version != noVersion {
		if err := c.negotiate(e.versions); err != nil {
			return nil, err
		}
	}
	if c.version == v15Version {
		c.javaMethod = strings.Replace(e.javaMethod, "Resource20240805", "V15Resource", 1)
	}
	if c.version < e.retirement.until {
		c.header.Set("Deprecation", e.retirement.deprecation)
		c.header.Set("Sunset", e.retirement.sunset)
	}
	if err := c.project(); err != nil {
		return nil, err
	}
	if err := c.s.spendTokenLocked(group, e.family, path, c.header); err != nil {
		return nil, err
	}
	return e.serve(c)
}

var versionedType = regexp.MustCompile(`^application/vnd\.atlas\.([^+]+)\+json$`)

// negotiate picks the newest resource version at or before the date in the Accept header. A request without such a
// date is refused with 406 (public reports). Requests with a body must say the same in Content-Type, or plain
// application/json.
func (c *call) negotiate(versions []string) *apiError {
	asked := ""
	for part := range strings.SplitSeq(c.r.Header.Get("Accept"), ",") {
		if m := versionedType.FindStringSubmatch(mediaType(part)); m != nil {
			asked = m[1]
			break
		}
	}
	version, err := c.newest(asked, versions)
	if err != nil {
		return err
	}
	if c.r.Method == http.MethodPost || c.r.Method == http.MethodPatch {
		sent := mediaType(c.r.Header.Get("Content-Type"))
		m := versionedType.FindStringSubmatch(sent)
		switch {
		case m != nil:
			if _, err := c.newest(m[1], versions); err != nil {
				return err
			}
		case sent != "application/json":
			return failf(415, "UNEXPECTED_ERROR", "Unsupported media type.") // assumed
		}
	}
	c.version = version
	return nil
}

// newest returns the newest of the versions at or before the date asked for.
func (c *call) newest(asked string, versions []string) (string, *apiError) {
	if _, err := time.Parse(time.DateOnly, asked); err != nil || asked < versions[0] {
		return "", errVersionDate()
	}
	version := versions[0]
	for _, v := range versions {
		if v <= asked {
			version = v
		}
	}
	if slices.Contains(c.s.cfg.RetiredVersions, version) {
		return "", errVersionGone(version, c.path())
	}
	return version, nil
}

// path is the request's path the way Atlas puts it into parameters.
func (c *call) path() string { return strings.Trim(c.r.URL.Path, "/") }

func mediaType(header string) string {
	t, _, err := mime.ParseMediaType(header)
	if err != nil {
		return ""
	}
	return t
}

// project checks the id in the path: malformed, unknown, somebody else's. The last is 401 with a body that says so
// and a fresh challenge that invites a client to try in vain once more (public runs).
func (c *call) project() *apiError {
	cfg := c.s.cfg
	switch {
	case !groupPattern.MatchString(c.group):
		return errGroupID(c.group)
	case slices.Contains(cfg.ForeignGroups, c.group):
		c.s.challengeLocked(c.r, c.header, false)
		return errNotInGroup()
	case len(cfg.Groups) > 0 && !slices.Contains(cfg.Groups, c.group):
		return errGroup(c.group)
	}
	return nil
}

// ok is a 200 in the version that was negotiated.
func (c *call) ok(v any) *answer { return c.answer(http.StatusOK, v, NoEffect) }

func (c *call) answer(status int, v any, effect Effect) *answer {
	a := &answer{status: status, effect: effect, header: http.Header{},
		contentType: "application/vnd.atlas." + c.version + "+json;charset=utf-8"}
	if c.version == noVersion {
		a.contentType = "application/json" // recorded
	}
	if v != nil {
		a.body = marshal(v)
	}
	return a
}

// href is the absolute address of a path, as the caller reaches us.
func (c *call) href(path string) string {
	scheme := "http"
	if c.r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.r.Host + path
}

// systemStatus answers GET /api/atlas/v2, which is how one tries a credential.
func (c *call) systemStatus() (*answer, *apiError) {
	if c.r.Method != http.MethodGet {
		return nil, errMethod()
	}
	if err := c.negotiate(firstVersion); err != nil {
		return nil, err
	}
	return c.ok(map[string]any{
		"appName": "MongoDB Atlas", "build": "5f0f2c1b7a9d4e6f8091a2b3c4d5e6f708192a3b", "throttling": false,
		"apiKey": map[string]any{
			"id": "5a1b2c3d4e5f60718293a4b5", "publicKey": "simulatd",
			"accessList": []any{}, "roles": []any{},
		},
		"links": []any{link("self", c.href("/api/atlas/v2"))},
	}), nil
}

func (c *call) query(name, fallback string) string {
	if v := c.r.URL.Query().Get(name); v != "" {
		return v
	}
	return fallback
}

func link(rel, href string) any { return map[string]any{"rel": rel, "href": href} }
