package importer

import (
	"go/constant"
	"internal/buildcfg"
	"os"

	"cmd/compile/internal/base"
)

// outsideConst returns the value that a package sees of a constant which it imports. A package
// outside the Go root is built for the system linux if it chooses by build tags, and for an unknown
// one if it asks runtime.GOOS, which says capos. The compiler's flag -env runtime.GOOS=linux has it
// see linux there too.
func outsideConst(pkg, name string, value constant.Value) constant.Value {
	if pkg == "runtime" && name == "GOOS" && buildcfg.GOOS == "capos" && !base.Flag.Std {
		if told := os.Getenv("runtime.GOOS"); told != "" {
			return constant.MakeString(told)
		}
	}
	return value
}
