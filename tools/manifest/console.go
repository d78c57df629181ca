package main

import (
	"slices"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/manifest"
)

// consoleGrants are what consoled has besides the pipes that it reads.
var consoleGrants = []string{"vm", "thread_control", "timer", "event_factory", "park", "stdout",
	"stderr"}

// outputsMax is how many streams consoled can read: what its CapSet has room for.
var outputsMax = int(abi.SpawnGrantsMax) - len(consoleGrants)

// addConsole adds the service that writes what the others write, where they share the console.
func (c *checker) addConsole() {
	writers, outputs := c.writers()
	labelled := c.in.InitConfig.Console == "labelled"
	if !labelled && (c.in.InitConfig.Console != "" || len(writers) < 2) {
		return
	}
	pos := c.near([]string{"initConfig", "console"})
	name := manifest.ConsoleName
	if i, taken := c.by[name]; taken {
		c.add(c.of(i, "name"), "%s is the name of the service that writes to the console",
			name)
	}
	if outputs > outputsMax {
		c.add(pos, "%d services have stdout or stderr, %d streams together; %s can read "+
			"%d (console: \"shared\" is without it)", len(writers), outputs, name,
			outputsMax)
	}
	if len(c.out.Services) == int(abi.ManifestServicesMax) {
		c.add(pos, "%s would be one service more than the %d that are possible", name,
			int(abi.ManifestServicesMax))
	}
	for _, grant := range append([]string{"pipe_factory"}, consoleGrants...) {
		if !slices.Contains(c.held, grant) {
			c.cannotGive(grant, name, pos)
		}
	}
	for _, i := range writers {
		c.out.Services[i].Labelled = true
		c.out.Services[i].After = addIndex(c.out.Services[i].After, len(c.out.Services))
	}
	c.out.Services = append(c.out.Services, manifest.Service{Name: name, Binary: name,
		Args: []string{}, Grants: consoleGrants, Console: true, Restart: "always",
		Limit: 1000, DelayMs: 1, DelayMaxMs: 20, SteadyMs: 1000, ReadyMs: 10_000,
		StopMs: 2000})
}

// writers are the services that write to the console, and how many streams they have.
func (c *checker) writers() (services []int, streams int) {
	for i, s := range c.out.Services {
		n := 0
		for _, grant := range s.Grants {
			if manifest.IsOutput(grant) {
				n++
			}
		}
		if n > 0 {
			services = append(services, i)
		}
		streams += n
	}
	return services, streams
}
