package atlassim

import "strconv"

// list pages through the project's clusters that render does not answer nil for, oldest first. Defaults and bounds of
// the parameters are from the docs.
func (c *call) list(render func(*cluster) any) (*answer, *apiError) {
	size, err := c.number("itemsPerPage", 100, 500)
	if err != nil {
		return nil, err
	}
	page, err := c.number("pageNum", 1, 1<<31-1)
	if err != nil {
		return nil, err
	}
	count, badCount := strconv.ParseBool(c.query("includeCount", "true"))
	if badCount != nil {
		return nil, errQuery("includeCount")
	}

	return c.ok(c.page(render, size, page, count)), nil
}

// page is one page of the list.
func (c *call) page(render func(*cluster) any, size, page int, count bool) map[string]any {
	all := []any{}
	for _, x := range c.s.clusters {
		if x.key.group == c.group && !c.now.Before(x.hiddenUntil) {
			c.countStaleRead(x)
			if v := render(x); v != nil {
				all = append(all, v)
			}
		}
	}
	from := min((page-1)*size, len(all))
	to := min(from+size, len(all))
	links := []any{c.pageLink("self", page, size, count)}
	if page > 1 {
		links = append(links, c.pageLink("previous", page-1, size, count))
	}
	if to < len(all) {
		links = append(links, c.pageLink("next", page+1, size, count))
	}
	out := map[string]any{"links": links, "results": all[from:to]}
	if count {
		out["totalCount"] = len(all)
	}
	return out
}

func (c *call) pageLink(rel string, page, size int, count bool) any {
	return link(rel, c.href(c.r.URL.EscapedPath()+"?includeCount="+strconv.FormatBool(count)+
		"&pageNum="+strconv.Itoa(page)+"&itemsPerPage="+strconv.Itoa(size)))
}

// number reads a query parameter from 1 to limit.
func (c *call) number(name string, fallback, limit int) (int, *apiError) {
	n, err := strconv.Atoi(c.query(name, strconv.Itoa(fallback)))
	if err != nil || n < 1 || n > limit {
		return 0, errQuery(name)
	}
	return n, nil
}
