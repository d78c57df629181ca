package build

import (
	"internal/syslist"
	"slices"
)

// at returns the context that applies to files in dir.
func (ctxt *Context) at(dir string) *Context {
	if !syslist.Outside(ctxt.GOOS, ctxt.GOROOT, dir) {
		return ctxt
	}
	outside := *ctxt
	outside.BuildTags = append(slices.Clip(ctxt.BuildTags), "linux")
	return &outside
}
