package main

import (
	"errors"
	"flag"
	"fmt"
	"go/token"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/program"
	"capos.dev/tools/internal/repo"
)

// statusMistake is the exit status for a schema with a mistake, which has been reported.
const statusMistake = 1

type schemaFlags struct {
	program.Schema
	imports cli.List
}

func (f *schemaFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.C, "c", "", "")
	fs.StringVar(&f.Go, "go", "", "")
	fs.StringVar(&f.Package, "package", "main", "")
	fs.Var(&f.imports, "I", "")
}

func schemaCommand(args []string) int {
	var f schemaFlags
	flags := cli.NewFlags("schema")
	f.register(flags)
	if status, ok := cli.Parse(flags, args); !ok {
		return status
	}
	if flags.NArg() != 1 {
		return cli.Failf("one schema is wanted: ./capos schema [FLAGS] FILE.capnp")
	}
	if !token.IsIdentifier(f.Package) {
		return cli.Wrong("schema", fmt.Errorf("%q is no name of a Go package", f.Package))
	}
	f.File, f.Imports = flags.Arg(0), f.imports
	if f.C == "" && f.Go == "" {
		f.C = f.File + ".h"
	}
	root, err := repo.Root()
	if err != nil {
		return cli.Failf("%v", err)
	}
	err = f.Generate(root)
	if errors.Is(err, program.ErrSchema) {
		return statusMistake
	}
	if err != nil {
		return cli.Fail(err)
	}
	return 0
}
