package imports

// The build tags of packages outside the Go root: see package internal/syslist.

import (
	"cmd/go/internal/cfg"
	"go/build"
	"internal/syslist"
	"maps"
	"slices"
)

// TagsAt returns the tags that hold for the package in dir. The maps of AnyTags hold for all.
func TagsAt(tags map[string]bool, dir string) map[string]bool {
	if tags["*"] || !syslist.Outside(cfg.BuildContext.GOOS, cfg.GOROOT, dir) {
		return tags
	}
	tags = maps.Clone(tags)
	tags["linux"] = true
	return tags
}

// SetContextAt makes the context the one that applies to the package in dir.
func SetContextAt(ctxt *build.Context, dir string) {
	if syslist.Outside(ctxt.GOOS, ctxt.GOROOT, dir) {
		ctxt.BuildTags = append(slices.Clip(ctxt.BuildTags), "linux")
	}
}
