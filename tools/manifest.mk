# The tool that evaluates manifests. It is a Go module of its own and no part of `make tools`,
# because it needs the CUE library: what does not use a manifest is built without a download.

MANIFEST_TOOL := build/tools/manifest

$(MANIFEST_TOOL): $(filter-out %_test.go,$(wildcard tools/manifest/*.go)) \
		$(filter-out %_test.go,$(wildcard tools/internal/manifest/*.go)) \
		tools/manifest/go.mod tools/manifest/go.sum tools/manifest/schema.cue $(TOOLS_ABI)
	@mkdir -p $(@D)
	@cd tools/manifest && $(HOST_GO) build -buildvcs=false -trimpath -o ../../$@ .
