#!/bin/sh
# Makes counter.capnp.go of counter.capnp, for go generate: by the compiler capnp, and by the
# generator of the module that go.mod names, which is built for this machine.
set -eu
module=capnproto.org/go/capnp/v3
std=$(go list -m -f '{{.Dir}}' "$module")/std
generator=$(GOOS=$(go env GOHOSTOS) go tool -n capnpc-go)
capnp compile -I "$std" -o "$generator" counter.capnp
