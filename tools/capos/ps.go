package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/running"
)

type psFlags struct {
	all, json bool
}

func (p *psFlags) register(fs *flag.FlagSet) {
	fs.BoolVar(&p.all, "all", false, "")
	fs.BoolVar(&p.json, "json", false, "")
}

// psCommand lists the machines that run, or looks into one.
func psCommand(args []string) int {
	var p psFlags
	flags := cli.NewFlags("ps")
	p.register(flags)
	if status, ok := cli.Parse(flags, args); !ok {
		return status
	}
	list, err := running.List()
	if err != nil {
		return cli.Fail(err)
	}
	switch flags.NArg() {
	case 0:
		return p.list(list)
	case 1:
		if err := p.look(list, flags.Arg(0)); err != nil {
			return cli.Fail(err)
		}
		return 0
	}
	return cli.Failf("ps takes one machine; ./capos ps --help")
}

func (p *psFlags) list(list []*running.Machine) int {
	if p.json {
		return printJSON(list)
	}
	running.PrintList(os.Stdout, list, time.Now())
	return 0
}

func (p *psFlags) look(list []*running.Machine, name string) error {
	m, err := running.Find(list, name)
	if err != nil {
		return err
	}
	messages, err := m.Look()
	if err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	report, err := running.ReadReport(messages)
	if err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	if p.json {
		printJSON(report)
		return nil
	}
	report.Print(os.Stdout, m.Name, p.all)
	return nil
}

func printJSON(value any) int {
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	if err := out.Encode(value); err != nil {
		return cli.Fail(err)
	}
	return 0
}

// lookable lets ./capos ps find the machine while it runs. A machine runs as well without that.
func (l *launch) lookable(guest *machine.Guest) (stop func()) {
	looks := make(chan chan<- []byte)
	m := running.Machine{PID: os.Getpid(), Program: l.program.Path, Since: time.Now(),
		MemoryMiB: l.config.MemoryMiB, CPUs: l.config.CPUs}
	if len(l.program.Args) > 1 {
		m.Arguments = l.program.Args[1:]
	}
	if l.config.IsLive() {
		guest.Looks = looks
	} else {
		m.Silent = "a run that repeats exactly takes no questions"
	}
	stop, err := running.Serve(m, looks)
	if err != nil {
		return func() {}
	}
	return stop
}
