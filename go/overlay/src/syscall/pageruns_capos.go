// What is known of the pages of a mapping, in runs that are alike.

//go:build capos

package syscall

import "slices"

// pageRuns are the pages from which on the kind is another one, in ascending order. Before the
// first one it is 0.
type pageRuns []pageRun

type pageRun struct {
	first int
	kind  uint8
}

// search returns the first run that begins at the page or behind it.
func (r pageRuns) search(page int) int {
	i, _ := slices.BinarySearchFunc(r, page, func(run pageRun, page int) int {
		return run.first - page
	})
	return i
}

// at returns the kind of a page, and the next page that may have another one.
func (r pageRuns) at(page int) (kind uint8, end int) {
	next := r.search(page + 1)
	end = int(^uint(0) >> 1)
	if next < len(r) {
		end = r[next].first
	}
	if next > 0 {
		kind = r[next-1].kind
	}
	return kind, end
}

// set gives the pages before end a kind.
func (r *pageRuns) set(first, end int, kind uint8) {
	if first >= end {
		return
	}
	after, _ := r.at(end)
	from, to := r.search(first), r.search(end+1)
	before := uint8(0)
	if from > 0 {
		before = (*r)[from-1].kind
	}
	var put []pageRun
	if kind != before {
		put = append(put, pageRun{first, kind})
	}
	if after != kind {
		put = append(put, pageRun{end, after})
	}
	*r = slices.Replace(*r, from, to, put...)
}
