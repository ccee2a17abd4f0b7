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
		{flex, "2024-11-13", "2024-11-13", "", ""},
		{flex, "2025-06-01", "2024-11-13", "", ""},
		{m0, "2024-08-05", "2024-08-05", "", ""},
		{m0, "2026-01-01", "2024-08-05", "", ""},
		{m0, "2023-01-31", "2023-01-01", "Mon, 5 Aug 2024 00:00:00 GMT", "Thu, 1 Jul 2027 00:00:00 GMT"},
		{sless, "2025-03-12", "2023-01-01", "Wed, 5 Feb 2025 00:00:00 GMT", "Mon, 18 Jan 2027 00:00:00 GMT"},
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
		{"{", "MALFORMED_JSON", "Received JSON is malformed.", nil},
		{"", "MALFORMED_JSON", "Received JSON is malformed.", nil},
		{flexBody("a") + "{}", "MALFORMED_JSON", "Received JSON is malformed.", nil},
		{`{"name": 5}`, "INVALID_JSON_ATTRIBUTE", "Received JSON for the name attribute does not match expected format.",
			[]any{"name"}},
		{`{"nom": "x"}`, "INVALID_ATTRIBUTE", "Invalid attribute nom specified.", []any{"nom"}},
		{`{}`, "MISSING_ATTRIBUTE", "The required attribute name was not specified.", []any{"name"}},
		{`{"name": "a"}`, "MISSING_ATTRIBUTE", "The required attribute providerSettings was not specified.",
			[]any{"providerSettings"}},
		{place(``), "MISSING_ATTRIBUTE", "The required attribute backingProviderName was not specified.",
			[]any{"backingProviderName"}},
		{place(`"backingProviderName": "AWS"`), "MISSING_ATTRIBUTE", "The required attribute regionName was not specified.",
			[]any{"regionName"}},
		{place(`"backingProviderName": "AWS", "regionName": ""`), "INVALID_REGION", "No region  exists for provider AWS.",
			[]any{"", "AWS"}},
		{place(`"backingProviderName": "ACME", "regionName": "US_EAST_1"`), "INVALID_PROVIDER", "No provider ACME exists.",
			[]any{"ACME"}},
		{flexBody("not a name"), "CLUSTER_NAME_INVALID",
			"The cluster name not a name is invalid. The name can only contain ASCII letters, numbers, and hyphens.",
			[]any{"not a name"}},
		{flexBody("-dash"), "CLUSTER_NAME_INVALID",
			"The cluster name -dash is invalid. The name can only contain ASCII letters, numbers, and hyphens.", []any{"-dash"}},
		{flexBody(long), "CLUSTER_NAME_TOO_LONG", "Cluster name " + long + " is limited to 64 characters.",
			[]any{long, 64.0}},
		{flexBody(dash), "CLUSTER_NAME_PREFIX_INVALID", `Cluster name "` + dash +
			`" is invalid. Atlas truncates cluster names to 23 characters which results in an invalid ` +
			`hostname due to a trailing "-" in the generated cluster name prefix "abcdefghijklmnopqrstuv-".`,
			[]any{dash, 23.0, "abcdefghijklmnopqrstuv-"}},
		{flexBody(twin), "DUPLICATE_CLUSTER_NAME_PREFIX", "Cluster name " + twin +
			" cannot have same first 23 characters as another cluster name in same group.", []any{twin, 23.0}},
		{strings.Replace(flexBody("a"), `"team"`, `""`, 1), "INVALID_ATTRIBUTE", "Invalid attribute tags.key specified.",
			[]any{"tags.key"}},
		{strings.Replace(flexBody("a"), `"value": "orders"`, fmt.Sprintf(`"value": %q`, strings.Repeat("v", 256)), 1),
			"INVALID_ATTRIBUTE", "Invalid attribute tags.value specified.", []any{"tags.value"}},
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
		". Please retry after 6 seconds. Request capacity: 3. Refill rate: 6 per 60 seconds.", path, 6.0, 3.0, 6.0, 60.0)
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
		{"", "c0c1c2c3c4", "self ", 5.0},
		{"?itemsPerPage=2", "c0c1", "self next ", 5.0},
		{"?itemsPerPage=2&pageNum=2", "c2c3", "self previous next ", 5.0},
		{"?itemsPerPage=2&pageNum=3&includeCount=false", "c4", "self previous ", nil},
		{"?pageNum=9", "", "self previous ", 5.0},
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
