// Command capos is everything that a person does with capOS on the host: run programs, build them,
// test the system. It is started by ./capos in the repository's root, which sees to packages and to
// this tool being up to date.
//
// Started under the name go_capos_amd64_exec it is the program that the go command runs foreign
// binaries with.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/suite"
)

// command is one subcommand. run gets the arguments after its name and returns the exit status;
// flags adds what it takes to a set, nil where another program or package reads the arguments.
type command struct {
	name  string
	run   func(args []string) int
	flags func(fs *flag.FlagSet)
}

func commands() []command {
	none := func(*flag.FlagSet) {}
	return []command{
		{"run", runCommand, new(runFlags).registerRun},
		{"go", goCommand, nil},
		{"cc", ccCommand, nil},
		{"explore", exploreCommand, new(exploreFlags).register},
		{"replay", replayCommand, new(replayFlags).register},
		{"why", whyCommand, new(whyFlags).register},
		{"ps", psCommand, new(psFlags).register},
		{"schema", schemaCommand, new(schemaFlags).register},
		{"image", imageCommand, new(imageFlags).register},
		{"test", testCommand, nil},
		{"status", statusCommand, new(statusFlags).register},
		{"doctor", doctorCommand, none},
		{"exec", execCommand, new(execFlags).register},
	}
}

// testCommand tells the suites what commands there are: they hold the help of each to it.
func testCommand(args []string) int {
	var list []suite.Command
	for _, c := range commands() {
		shown := suite.Command{Name: c.name}
		if c.flags != nil {
			fs := cli.NewFlags(c.name)
			c.flags(fs)
			fs.VisitAll(func(f *flag.Flag) {
				shown.Flags = append(shown.Flags, f.Name)
			})
		}
		list = append(list, shown)
	}
	return suite.Main(args, list)
}

func main() {
	if filepath.Base(os.Args[0]) == repo.WrapperName {
		os.Exit(execCommand(os.Args[1:]))
	}
	os.Exit(dispatch(os.Args[1:]))
}

func dispatch(args []string) int {
	if len(args) == 0 || args[0] == "help" && len(args) == 1 || args[0] == "-h" ||
		args[0] == "--help" {
		fmt.Print(cli.Help("capos"))
		return 0
	}
	name, rest := args[0], args[1:]
	if name == "help" {
		name, rest = args[1], []string{"--help"}
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(rest)
		}
	}
	return cli.Failf("there is no command %q; ./capos help lists them", name)
}
