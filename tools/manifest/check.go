package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/token"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/manifest"
)

// written is a manifest as the schema has it.
type written struct {
	Binaries   map[string]string `json:"binaries"`
	InitConfig struct {
		Init struct {
			Grants *names `json:"grants"`
		} `json:"init"`
		Services []writtenService `json:"services"`
		Console  string           `json:"console"`
	} `json:"initConfig"`
	KernelParams map[string]any `json:"kernelParams"`
}

type writtenService struct {
	Name              string                `json:"name"`
	Binary            string                `json:"binary"`
	Args              []string              `json:"args"`
	Env               map[string]string     `json:"env"`
	Grants            names                 `json:"grants"`
	Devices           []string              `json:"devices"`
	Trusted           bool                  `json:"trusted"`
	Serves            map[string]serving    `json:"serves"`
	Uses              map[string]writtenUse `json:"uses"`
	After             []string              `json:"after"`
	Memory            string                `json:"memory"`
	Threads           uint32                `json:"threads"`
	Caps              uint32                `json:"caps"`
	Calls             uint32                `json:"calls"`
	CPU               string                `json:"cpu"`
	Shared            []string              `json:"shared"`
	Foreground        bool                  `json:"foreground"`
	Essential         bool                  `json:"essential"`
	Ready             bool                  `json:"ready"`
	RememberCalls     bool                  `json:"rememberCalls"`
	ReadyAfterMs      uint32                `json:"readyAfterMs"`
	HeartbeatMs       uint32                `json:"heartbeatMs"`
	StopWithinMs      uint32                `json:"stopWithinMs"`
	Restart           string                `json:"restart"`
	RestartLimit      uint32                `json:"restartLimit"`
	RestartDelayMs    uint32                `json:"restartDelayMs"`
	RestartDelayMaxMs uint32                `json:"restartDelayMaxMs"`
	RestartSteadyMs   uint32                `json:"restartSteadyMs"`
}

type serving struct {
	Calls      uint32 `json:"calls"`
	Persistent bool   `json:"persistent"`
}

type writtenUse struct {
	Endpoint string `json:"endpoint"`
	Tag      uint64 `json:"tag"`
}

// names is a list of names, in which a list stands for what is in it.
type names []named

// named is a name and where it stands in the list: one index, or two.
type named struct {
	name string
	path []string
}

func (n *names) UnmarshalJSON(data []byte) error {
	var list []any
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	for i, entry := range list {
		switch entry := entry.(type) {
		case string:
			*n = append(*n, named{entry, []string{strconv.Itoa(i)}})
		case []any:
			for j, inner := range entry {
				*n = append(*n, named{fmt.Sprint(inner),
					[]string{strconv.Itoa(i), strconv.Itoa(j)}})
			}
		}
	}
	return nil
}

// checker looks at what the schema cannot say.
type checker struct {
	*source
	in   written
	out  *manifest.Manifest
	held []string       // by init
	by   map[string]int // services by name
	took map[string]int // which service drives a device
	who  map[string]int // which service serves an endpoint
}

// check turns the evaluated manifest into a checked one.
func (s *source) check(v cue.Value) *manifest.Manifest {
	c := &checker{source: s, out: &manifest.Manifest{}, by: map[string]int{},
		who: map[string]int{}, took: map[string]int{}}
	text, err := v.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(text, &c.in)
	}
	if err != nil {
		s.add(s.value.Pos(), "%v", err)
		return nil
	}
	c.out.Binaries = c.in.Binaries
	c.checkInit()
	c.checkParameters()
	c.nameThings()
	for i := range c.in.InitConfig.Services {
		c.out.Services = append(c.out.Services, c.service(i))
	}
	c.checkSingle()
	c.addConsole()
	c.order()
	return c.out
}

// of is where a field of a service stands.
func (c *checker) of(i int, path ...string) token.Pos {
	return c.near(append([]string{"initConfig", "services", strconv.Itoa(i)}, path...))
}

// near is the place of what the path names, or of what is nearest around it.
func (s *source) near(path []string) token.Pos {
	for ; len(path) > 0; path = path[:len(path)-1] {
		if pos := s.at(path...); pos.IsValid() {
			return pos
		}
	}
	return s.value.Pos()
}

func (c *checker) checkInit() {
	at := []string{"initConfig", "init", "grants"}
	c.held = abi.GrantNames[:]
	if c.in.InitConfig.Init.Grants == nil {
		c.out.InitGrants = c.held
		return
	}
	var list []string
	for _, g := range *c.in.InitConfig.Init.Grants {
		if c.exists(g.name, c.near(append(slices.Clone(at), g.path...))) &&
			!slices.Contains(list, g.name) {
			list = append(list, g.name)
		}
	}
	var lacking []string
	for _, name := range c.source.needs {
		if !slices.Contains(list, name) {
			lacking = append(lacking, name)
		}
	}
	if len(lacking) > 0 {
		c.add(c.near(at), "init itself needs %s; say in the manifest: "+
			"initConfig: init: grants: [#Init]", strings.Join(lacking, ", "))
	}
	c.held, c.out.InitGrants = list, list
}

// cannotGive is the mistake of a grant that init does not hold.
func (c *checker) cannotGive(grant, service string, pos token.Pos) {
	c.add(pos, "init cannot give %s to %s, because it does not hold it; say in the manifest: "+
		"initConfig: init: grants: [%q]", grant, service, grant)
}

// exists tells whether the kernel has such a grant.
func (c *checker) exists(name string, pos token.Pos) bool {
	if slices.Contains(abi.GrantNames[:], name) {
		return true
	}
	c.add(pos, "there is no grant %q; there are %s", name,
		strings.Join(abi.GrantNames[:], ", "))
	return false
}

func (c *checker) checkParameters() {
	for _, name := range slices.Sorted(maps.Keys(c.in.KernelParams)) {
		text := name
		switch value := c.in.KernelParams[name].(type) {
		case string:
			text += "=" + value
		case float64:
			text += "=" + strconv.FormatFloat(value, 'f', -1, 64)
		}
		pos := c.near([]string{"kernelParams", name})
		if name == "channel" {
			c.add(pos, "./capos run chooses the channel itself")
		}
		if strings.ContainsAny(text, " \t\n\x00") {
			c.add(pos, "a parameter has no blanks: %q", text)
		}
		c.out.KernelParams = append(c.out.KernelParams, text)
	}
}

// nameThings finds services and endpoints, and names that two of them have.
func (c *checker) nameThings() {
	for i, w := range c.in.InitConfig.Services {
		if first, taken := c.by[w.Name]; taken {
			c.add(c.of(i, "name"), "a second service %s; the first is at %s",
				w.Name, c.where(c.of(first, "name")))
			continue
		}
		c.by[w.Name] = i
		for _, name := range slices.Sorted(maps.Keys(w.Serves)) {
			if first, taken := c.who[name]; taken {
				c.add(c.of(i, "serves", name),
					"a second endpoint %s; %s serves the first", name,
					c.in.InitConfig.Services[first].Name)
				continue
			}
			c.who[name] = i
		}
	}
	services, endpoints := len(c.in.InitConfig.Services), len(c.who)
	if services == 0 || services > int(abi.ManifestServicesMax) {
		c.add(c.near([]string{"initConfig", "services"}),
			"%d services; 1 to %d are possible", services,
			int(abi.ManifestServicesMax))
	}
	if endpoints > int(abi.ManifestEndpointsMax) {
		c.add(c.near([]string{"initConfig", "services"}),
			"%d endpoints; at most %d are possible", endpoints,
			int(abi.ManifestEndpointsMax))
	}
}

func (c *checker) where(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", c.name(pos), pos.Line())
}

// service checks one and gives it, with the indices of the manifest as it is written.
func (c *checker) service(i int) manifest.Service {
	w := &c.in.InitConfig.Services[i]
	s := manifest.Service{Name: w.Name, Binary: w.Binary, Args: w.Args,
		Foreground: w.Foreground, Essential: w.Essential, Ready: w.Ready,
		RememberCalls: w.RememberCalls, ReadyMs: w.ReadyAfterMs,
		HeartbeatMs: w.HeartbeatMs, StopMs: w.StopWithinMs,
		Restart: w.Restart, Limit: w.RestartLimit,
		DelayMs: w.RestartDelayMs, DelayMaxMs: w.RestartDelayMaxMs,
		SteadyMs: w.RestartSteadyMs}
	if _, there := c.in.Binaries[w.Binary]; !there {
		c.add(c.of(i, "binary"), "there is no binary %q in binaries", w.Binary)
	}
	s.Memory = c.memory(w.Memory, c.of(i, "memory"))
	s.Counts = bootimage.Counts{Threads: w.Threads, Capabilities: w.Caps, Calls: w.Calls,
		CPU: c.percent(w.CPU, c.of(i, "cpu")) * 10}
	s.Shared = c.shared(i, &s)
	c.strings(i, &s)
	c.capabilities(i, &s)
	for n, name := range w.After {
		other, there := c.by[name]
		if !there {
			c.add(c.of(i, "after", strconv.Itoa(n)), "there is no service %q",
				name)
			continue
		}
		s.After = addIndex(s.After, other)
	}
	return s
}

// shared gives a bit for each budget that is only a ceiling, and which so has to have a limit.
func (c *checker) shared(i int, s *manifest.Service) (bits uint32) {
	for n, name := range c.in.InitConfig.Services[i].Shared {
		budget, limited := abi.BudgetMemory, s.Memory != 0
		switch name {
		case "threads":
			budget, limited = abi.BudgetThreads, s.Counts.Threads != 0
		case "caps":
			budget, limited = abi.BudgetCapabilities, s.Counts.Capabilities != 0
		case "calls":
			budget, limited = abi.BudgetCalls, s.Counts.Calls != 0
		case "cpu":
			budget, limited = abi.BudgetCpu, s.Counts.CPU != 0
		}
		if !limited {
			c.add(c.of(i, "shared", strconv.Itoa(n)),
				"%s has no limit here that could be a ceiling", name)
		}
		bits |= 1 << budget
	}
	return bits
}

// percent reads what the schema has let through.
func (c *checker) percent(text string, pos token.Pos) uint32 {
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(text, "%"), 10, 32)
	if err != nil || n > manifest.PercentMax {
		c.add(pos, "%s is more than the CPUs of any machine", text)
		return 0
	}
	return uint32(n)
}

func addIndex(list []int, index int) []int {
	if slices.Contains(list, index) {
		return list
	}
	return append(list, index)
}

func (c *checker) memory(text string, pos token.Pos) uint64 {
	if text == "" {
		return 0
	}
	shift := map[byte]uint{'K': 10, 'M': 20, 'G': 30}[text[len(text)-1]]
	size, err := strconv.ParseUint(text[:len(text)-1], 10, 64)
	if err != nil || size > math.MaxInt64>>shift {
		c.add(pos, "%s is no size that a machine has", text)
		return 0
	}
	if size <<= shift; size < uint64(abi.PageSize) {
		c.add(pos, "%s is less than a page", text)
	}
	return size
}

// strings checks arguments and environment.
func (c *checker) strings(i int, s *manifest.Service) {
	w := &c.in.InitConfig.Services[i]
	size := 0
	for n, arg := range w.Args {
		if strings.IndexByte(arg, 0) >= 0 {
			c.add(c.of(i, "args", strconv.Itoa(n)), "an argument with a zero byte")
		}
		size += len(arg) + 1
	}
	for _, name := range slices.Sorted(maps.Keys(w.Env)) {
		entry := name + "=" + w.Env[name]
		if strings.IndexByte(entry, 0) >= 0 {
			c.add(c.of(i, "env", name), "a variable with a zero byte")
		}
		size += len(entry) + 1
		s.Env = append(s.Env, entry)
	}
	// What every service's environment begins with takes less than a page.
	if size > int(abi.SpawnStringsMax)-int(abi.PageSize) {
		c.add(c.of(i), "arguments and environment of %s have %d bytes; %d are "+
			"possible", w.Name, size, int(abi.SpawnStringsMax)-int(abi.PageSize))
	}
}

// isOfInit notes a grant that init itself answers.
func isOfInit(name string, s *manifest.Service) bool {
	s.Log = s.Log || name == manifest.LogName
	s.Processes = s.Processes || name == manifest.ProcessesName
	return name == manifest.LogName || name == manifest.ProcessesName
}

// capabilities checks what the service's CapSet will hold.
func (c *checker) capabilities(i int, s *manifest.Service) {
	w := &c.in.InitConfig.Services[i]
	set := map[string]bool{}
	take := func(name string, pos token.Pos) {
		if set[name] {
			c.add(pos, "%s has a second capability %s", w.Name, name)
		}
		set[name] = true
	}
	if w.Ready {
		take(manifest.ReadyName, c.of(i, "ready"))
	}
	if w.HeartbeatMs != 0 {
		take(manifest.HeartbeatName, c.of(i, "heartbeatMs"))
	}
	for _, g := range w.Grants {
		c.grant(i, g, s, take)
	}
	for n, name := range w.Devices {
		pos := c.of(i, "devices", strconv.Itoa(n))
		take(name, pos)
		c.device(i, name, pos, s)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Serves)) {
		take(name, c.of(i, "serves", name))
		s.Serves = append(s.Serves, manifest.Serve{Name: name,
			Calls: w.Serves[name].Calls, Persistent: w.Serves[name].Persistent})
	}
	for _, name := range slices.Sorted(maps.Keys(w.Uses)) {
		take(name, c.of(i, "uses", name))
		c.use(i, name, s)
	}
	if len(set) > int(abi.SpawnGrantsMax) {
		c.add(c.of(i), "%s has %d capabilities; at most %d are possible", w.Name,
			len(set), int(abi.SpawnGrantsMax))
	}
}

// grant checks one of the kernel's objects, or init's log.
func (c *checker) grant(i int, g named, s *manifest.Service, take func(string, token.Pos)) {
	pos := c.of(i, append([]string{"grants"}, g.path...)...)
	if isOfInit(g.name, s) {
		take(g.name, pos)
		return
	}
	if !c.exists(g.name, pos) {
		return
	}
	if g.name == trustedDevices {
		c.trusted(i, g.name, pos)
	}
	if !slices.Contains(c.held, g.name) {
		c.cannotGive(g.name, s.Name, pos)
	}
	take(g.name, pos)
	s.Grants = append(s.Grants, g.name)
}

func (c *checker) use(i int, name string, s *manifest.Service) {
	w := &c.in.InitConfig.Services[i]
	use := manifest.Use{Name: name, Endpoint: w.Uses[name].Endpoint, Tag: w.Uses[name].Tag}
	if use.Endpoint == "" {
		use.Endpoint = name
	}
	server, there := c.who[use.Endpoint]
	if !there {
		c.add(c.of(i, "uses", name, "endpoint"), "no service serves an endpoint %q; say "+
			"in that which does: serves: %q: {}", use.Endpoint, use.Endpoint)
		return
	}
	s.Uses = append(s.Uses, use)
	s.After = addIndex(s.After, server)
}

// checkSingle finds what only one service can have.
func (c *checker) checkSingle() {
	foreground, reader := "", ""
	for i, w := range c.in.InitConfig.Services {
		if w.Foreground && foreground != "" {
			c.add(c.of(i, "foreground"), "%s is in the foreground already",
				foreground)
		}
		if w.Foreground {
			foreground = w.Name
		}
		for _, g := range w.Grants {
			if g.name != "stdin" {
				continue
			}
			if reader != "" {
				c.add(c.of(i, append([]string{"grants"}, g.path...)...),
					"%s has stdin already; only one service can read it",
					reader)
			}
			reader = w.Name
		}
	}
}
