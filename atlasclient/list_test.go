package atlasclient_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestList(t *testing.T) {
	t.Parallel()
	page := func(number int, answer string) step {
		return step{
			want:   fmt.Sprintf("GET %s?includeCount=true&itemsPerPage=500&pageNum=%d", flex, number),
			answer: answer,
		}
	}
	// entries are clusters from the one with the number first to the one before end.
	entries := func(first, end int) string {
		var all []string
		for i := first; i < end; i++ {
			all = append(all, fmt.Sprintf(`{"name":"c%d","stateName":"IDLE"}`, i))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	for _, test := range []struct {
		name  string
		pages []step
		want  int
	}{
		{"none", []step{page(1, `{"results":[],"totalCount":0}`)}, 0},
		{"one page", []step{page(1, `{"results":`+entries(0, 2)+`,"totalCount":2}`)}, 2},
		{"three pages", []step{
			page(1, `{"results":`+entries(0, 2)+`,"totalCount":5}`),
			page(2, `{"results":`+entries(2, 4)+`,"totalCount":5}`),
			page(3, `{"results":`+entries(4, 5)+`,"totalCount":5}`),
		}, 5},
		{"an empty page is the last, whatever the count", []step{
			page(1, `{"results":`+entries(0, 2)+`,"totalCount":9}`), page(2, `{"results":[],"totalCount":9}`),
		}, 2},
		{"one appears meanwhile", []step{
			page(1, `{"results":`+entries(0, 2)+`,"totalCount":3}`),
			page(2, `{"results":`+entries(1, 3)+`,"totalCount":4}`),
		}, 4},
		{"the count is only an estimate: a full page has a next one", []step{
			page(1, `{"results":`+entries(0, 500)+`,"totalCount":498}`),
			page(2, `{"results":`+entries(500, 501)+`,"totalCount":498}`),
		}, 501},
		{"no count", []step{
			page(1, `{"results":`+entries(0, 500)+`}`), page(2, `{"results":`+entries(500, 1000)+`}`),
			page(3, `{"results":[]}`),
		}, 1000},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.pages[len(test.pages)-1].with = map[string]string{"Sunset": "last page"}
			got, resp, err := setup(t, test.pages...).ListFlexClusters(t.Context(), group)
			require.NoError(t, err)
			require.Equal(t, test.want, len(got))
			require.Len(t, resp.Warnings, 1, "the answer is the last page's")
		})
	}

	t.Run("a later page fails", func(t *testing.T) {
		t.Parallel()
		failing := page(2, "")
		failing.status = 503
		c := setup(t, page(1, `{"results":`+entries(0, 1)+`,"totalCount":2}`), failing)
		got, resp, err := c.ListFlexClusters(t.Context(), group)
		require.Nil(t, got)
		require.Nil(t, resp)
		require.EqualError(t, err, "GET "+flex+": 503")
	})
}

// Answers that make no list end it with an error, after few requests.
func TestListThatIsNone(t *testing.T) {
	t.Parallel()
	page := func(first, n int) string {
		var all []string
		for i := first; i < first+n; i++ {
			all = append(all, fmt.Sprintf(`{"name":"c%d","stateName":"IDLE"}`, i))
		}
		return `{"results":[` + strings.Join(all, ",") + `],"totalCount":100000}`
	}
	again := "a page of the list is the one before it again: something on the way may drop the query of the URL"
	for _, test := range []struct {
		name     string
		answer   func(number int) string // the query is not looked at
		requests int
		want     string
	}{
		{"each page is the same full one", func(int) string { return page(0, 500) }, 2, again},
		{"each page is the same, of a hundred", func(int) string { return page(0, 100) }, 2, again},
		{"the third page is the second", func(number int) string { return page(500*min(number, 2), 500) }, 3, again},
		{"two pages in turns", func(number int) string { return page(500*(number%2), 500) }, 20,
			"the list has more than 20 pages, which no project fills"},
		{"without end", func(number int) string { return page(500*number, 500) }, 20,
			"the list has more than 20 pages, which no project fills"},
		{"an empty object", func(int) string { return `{}` }, 1, "the body is no list: it has no results"},
		{"null", func(int) string { return `null` }, 1, "the body is no list: it has no results"},
		{"results of null", func(int) string { return `{"results":null,"totalCount":0}` }, 1,
			"the body is no list: it has no results"},
		{"a second page that is an empty object",
			func(number int) string { return map[int]string{1: page(0, 500), 2: `{}`}[number] }, 2,
			"the body is no list: it has no results"},
		{"one cluster", func(int) string { return flexAnswer }, 1, "the body is no list: it has no results"},
		{"results that are no clusters", func(int) string {
			return `{"results":[{"name":"a","stateName":"IDLE"},{}]}`
		}, 1,
			"entry 2 of the list: the body is no cluster: it has no name or no stateName"},
		{"results of null each", func(int) string { return `{"results":[null]}` }, 1,
			"entry 1 of the list: the body is no cluster: it has no name or no stateName"},
		{"results that are no list", func(int) string { return `{"results":{}}` }, 1,
			"the body is not the JSON expected: results is of type object"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			requests := 0
			c := overTransport(t, nil, func(*http.Request) *http.Response {
				requests++
				return reply(200, nil, test.answer(requests))
			})
			all, resp, err := c.ListFlexClusters(t.Context(), group)
			require.Nil(t, all)
			require.Nil(t, resp)
			require.EqualError(t, err, "GET "+flex+": status 200: "+test.want)
			require.Error(t, asError(t, err).Err)
			require.Equal(t, test.requests, requests)
		})
	}
}
