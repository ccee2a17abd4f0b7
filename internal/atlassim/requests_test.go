package atlassim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

func TestVersions(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{RetiredVersions: []string{"2023-02-01"}})
	b.sim.SeedShared(atlassim.SharedCluster{GroupID: group, Name: "shared"})
	const (
		flex  = "/flexClusters"
		m0    = "/clusters/shared"
		sless = "/serverless"
	)
	for _, c := range []struct {
		path, asked, served string
		deprecation, sunset string
	}{
		{path: flex, asked: "2024-11-13", served: "2024-11-13"},
		{path: flex, asked: "2025-06-01", served: "2024-11-13"},
		{path: m0, asked: "2024-08-05", served: "2024-08-05"},
		{path: m0, asked: "2026-01-01", served: "2024-08-05"},
		{path: m0, asked: "2023-01-31", served: "2023-01-01", deprecation: "Mon, 5 Aug 2024 00:00:00 GMT",
			sunset: "Thu, 1 Jul 2027 00:00:00 GMT"},
		{path: sless, asked: "2025-03-12", served: "2023-01-01", deprecation: "Wed, 5 Feb 2025 00:00:00 GMT",
			sunset: "Mon, 18 Jan 2027 00:00:00 GMT"},
	} {
		r := b.send(b.request("GET", root+c.path, c.asked, ""))
		r.want(t, 200, nil)
		equal(t, c.path+" asked as "+c.asked, r.header.Get("Content-Type"),
			"application/vnd.atlas."+c.served+"+json;charset=utf-8")
		equal(t, "Deprecation", r.header.Get("Deprecation"), c.deprecation)
		equal(t, "Sunset", r.header.Get("Sunset"), c.sunset)
	}

	for _, accept := range []string{"2024-11-12", "2024-13-01", "tomorrow", ""} {
		b.send(b.request("GET", flexs, accept, "")).
			wantError(t, 406, "INVALID_VERSION_DATE", "Invalid accept header or version date.")
	}
	plain := b.request("GET", flexs, flexVersion, "")
	plain.Header.Set("Accept", "application/json")
	b.send(plain).wantError(t, 406, "INVALID_VERSION_DATE", "Invalid accept header or version date.")

	gone := b.send(b.request("GET", root+m0, "2024-01-01", ""))
	path := strings.TrimPrefix(root+m0, "/")
	gone.wantError(t, 410, "VERSION_GONE", "Version 2023-02-01 of "+path+" is no longer available.", "2023-02-01", path)
}

func TestContentType(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{})
	for contentType, status := range map[string]int{
		// 400: the body is bad, the type is not.
		"application/json": 400, "application/vnd.atlas.2025-01-01+json;charset=utf-8": 400,
		"application/vnd.atlas.2020-01-01+json": 406, "text/plain": 415, "": 415,
	} {
		r := b.request("POST", flexs, flexVersion, "{")
		r.Header.Set("Content-Type", contentType)
		b.send(r).want(t, status, nil)
	}
}

func TestSystemStatusAndUnknownPaths(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{})
	b.send(b.request("GET", "/api/atlas/v2", oldVersion, "")).want(t, 200,
		attrs{"appName": "MongoDB Atlas", "throttling": false})
	b.do("GET", root+"/teams", "").wantError(t, 404, "RESOURCE_NOT_FOUND", "Cannot find resource "+root+"/teams.",
		root+"/teams")
	b.do("GET", flexs+"/a/b", "").want(t, 404, nil)
	b.do("PUT", flexs, "").wantError(t, 405, "UNEXPECTED_ERROR", "Method not allowed.")
}

func TestCreateIsValidated(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{})
	b.create("taken-by-somebody-who-was-here").want(t, 201, nil)
	place := func(inner string) string { return `{"name": "orders", "providerSettings": {` + inner + `}}` }
	long := strings.Repeat("x", 65)
	dash := "abcdefghijklmnopqrstuv-wxyz"
	twin := "taken-by-somebody-who-was-there"

	for _, c := range []struct {
		body, code, detail string
		params             []any
	}{
		{body: "{", code: "MALFORMED_JSON", detail: "Received JSON is malformed."},
		{body: "", code: "MALFORMED_JSON", detail: "Received JSON is malformed."},
		{body: flexBody("a") + "{}", code: "MALFORMED_JSON", detail: "Received JSON is malformed."},
		{body: `{"name": 5}`, code: "INVALID_JSON_ATTRIBUTE",
			detail: "Received JSON for the name attribute does not match expected format.",
			params: []any{"name"}},
		{body: `{"nom": "x"}`, code: "INVALID_ATTRIBUTE", detail: "Invalid attribute nom specified.",
			params: []any{"nom"}},
		{body: `{}`, code: "MISSING_ATTRIBUTE", detail: "The required attribute name was not specified.",
			params: []any{"name"}},
		{body: `{"name": "a"}`, code: "MISSING_ATTRIBUTE",
			detail: "The required attribute providerSettings was not specified.",
			params: []any{"providerSettings"}},
		{body: place(``), code: "MISSING_ATTRIBUTE", detail: "The required attribute backingProviderName was not " +
			"specified.",
			params: []any{"backingProviderName"}},
		{body: place(`"backingProviderName": "AWS"`), code: "MISSING_ATTRIBUTE",
			detail: "The required attribute regionName was not specified.",
			params: []any{"regionName"}},
		{body: place(`"backingProviderName": "AWS", "regionName": ""`), code: "INVALID_REGION",
			detail: "No region  exists for provider AWS.",
			params: []any{"", "AWS"}},
		{body: place(`"backingProviderName": "ACME", "regionName": "US_EAST_1"`), code: "INVALID_PROVIDER",
			detail: "No provider ACME exists.",
			params: []any{"ACME"}},
		{body: flexBody("not a name"), code: "CLUSTER_NAME_INVALID",
			detail: "The cluster name not a name is invalid. The name can only contain ASCII letters, numbers, " +
				"and hyphens.",
			params: []any{"not a name"}},
		{body: flexBody("-dash"), code: "CLUSTER_NAME_INVALID",
			detail: "The cluster name -dash is invalid. The name can only contain ASCII letters, numbers, and hyphens.",
			params: []any{"-dash"}},
		{body: flexBody(long), code: "CLUSTER_NAME_TOO_LONG", detail: "Cluster name " + long +
			" is limited to 64 characters.",
			params: []any{long, 64.0}},
		{body: flexBody(dash), code: "CLUSTER_NAME_PREFIX_INVALID", detail: `Cluster name "` + dash +
			`" is invalid. Atlas truncates cluster names to 23 characters which results in an invalid ` +
			`hostname due to a trailing "-" in the generated cluster name prefix "abcdefghijklmnopqrstuv-".`,
			params: []any{dash, 23.0, "abcdefghijklmnopqrstuv-"}},
		{body: flexBody(twin), code: "DUPLICATE_CLUSTER_NAME_PREFIX", detail: "Cluster name " + twin +
			" cannot have same first 23 characters as another cluster name in same group.", params: []any{twin, 23.0}},
		{body: strings.Replace(flexBody("a"), `"team"`, `""`, 1), code: "INVALID_ATTRIBUTE",
			detail: "Invalid attribute tags.key specified.",
			params: []any{"tags.key"}},
		{body: strings.Replace(flexBody("a"), `"orders"`, `"`+strings.Repeat("v", 256)+`"`, 1),
			code: "INVALID_ATTRIBUTE", detail: "Invalid attribute tags.value specified.", params: []any{"tags.value"}},
	} {
		r := b.request("POST", flexs, flexVersion, c.body)
		r.Header.Set("Content-Type", "application/json")
		b.send(r).wantError(t, 400, c.code, c.detail, c.params...)
	}
	equal(t, "clusters made", b.sim.Count(atlassim.Created), 1)
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{RateLimit: 3, RefillPerMinute: 6})
	// GET, POST and DELETE share a bucket.
	for i, r := range []*reply{b.create("a"), b.do("GET", flexs+"/a", ""), b.do("DELETE", flexs+"/a", "")} {
		equal(t, "RateLimit-Limit", r.header.Get("RateLimit-Limit"), "3")
		equal(t, "RateLimit-Remaining", r.header.Get("RateLimit-Remaining"), fmt.Sprint(2-i))
	}
	b.clock.Advance(4 * time.Second)
	path := strings.TrimPrefix(flexs, "/")
	full := b.do("GET", flexs, "")
	full.wantError(t, 429, "RATE_LIMITED_TOKEN_BUCKET", "Rate limit exceeded for "+path+
		". Please retry after 6 seconds. Request capacity: 3. Refill rate: 6 per 60 seconds.",
		path, 6.0, 3.0, 6.0, 60.0)
	equal(t, "Retry-After", full.header.Get("Retry-After"), "6")
	equal(t, "RateLimit-Remaining", full.header.Get("RateLimit-Remaining"), "0")

	// Another project, and another family of endpoints, have their own.
	b.do("GET", "/api/atlas/v2/groups/"+other+"/flexClusters", "").want(t, 200, nil)
	equal(t, "cluster API", b.do("GET", root+"/clusters", "").header.Get("RateLimit-Remaining"), "9999")

	b.clock.Advance(6 * time.Second)
	b.do("GET", flexs, "").want(t, 200, nil)
	b.do("GET", flexs, "").want(t, 429, nil)
}

func TestRetryAfterCanBeZeroAndHeadersMissing(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{RateLimit: 1, RefillPerMinute: 500, NoRateLimitHeaders: true})
	b.do("GET", flexs, "").want(t, 200, nil)
	full := b.do("GET", flexs, "")
	full.want(t, 429, nil)
	equal(t, "Retry-After", full.header.Values("Retry-After"), []string{"0"})
	equal(t, "RateLimit-Limit", full.header.Values("RateLimit-Limit"), []string(nil))
}

func TestPaging(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{})
	for i := range 5 {
		b.create(fmt.Sprint("c", i)).want(t, 201, nil)
	}
	page := func(query string) (names, rels string, total any) {
		r := b.do("GET", flexs+query, "")
		r.want(t, 200, nil)
		for _, x := range r.json["results"].([]any) {
			names += x.(map[string]any)["name"].(string)
		}
		for _, x := range r.json["links"].([]any) {
			rels += x.(map[string]any)["rel"].(string) + " "
		}
		return names, rels, r.json["totalCount"]
	}
	for _, c := range []struct {
		query, names, rels string
		total              any
	}{
		{query: "", names: "c0c1c2c3c4", rels: "self ", total: 5.0},
		{query: "?itemsPerPage=2", names: "c0c1", rels: "self next ", total: 5.0},
		{query: "?itemsPerPage=2&pageNum=2", names: "c2c3", rels: "self previous next ", total: 5.0},
		{query: "?itemsPerPage=2&pageNum=3&includeCount=false", names: "c4", rels: "self previous "},
		{query: "?pageNum=9", names: "", rels: "self previous ", total: 5.0},
	} {
		names, rels, total := page(c.query)
		equal(t, c.query, []any{names, rels, total}, []any{c.names, c.rels, c.total})
	}
	self := b.do("GET", flexs+"?itemsPerPage=2", "").json["links"].([]any)[0].(map[string]any)["href"]
	equal(t, "self", self, b.url+flexs+"?includeCount=true&pageNum=1&itemsPerPage=2")

	for query, name := range map[string]string{"itemsPerPage=501": "itemsPerPage", "itemsPerPage=0": "itemsPerPage",
		"pageNum=0": "pageNum", "includeCount=x": "includeCount"} {
		b.do("GET", flexs+"?"+query, "").wantError(t, 400, "INVALID_QUERY_PARAMETER",
			"Invalid query parameter "+name+" specified.", name)
	}
}
