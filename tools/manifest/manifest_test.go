package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/manifest"
)

// head is the first two lines of a manifest.
const head = "schemaVersion: 1\nbinaries: p: \"p\"\n"

// readText reads a manifest that is given as text.
func readText(t *testing.T, text string) (*manifest.Manifest, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "system.cue")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	m, lines := read(file)
	return m, strings.ReplaceAll(strings.Join(lines, "\n"), file+":", "")
}

func services(list ...string) string {
	return head + "initConfig: services: [\n\t" + strings.Join(list, ",\n\t") + ",\n]\n"
}

// service is one with a name and more.
func service(name, more string) string {
	return fmt.Sprintf("{name: %q, binary: \"p\", %s}", name, more)
}

// mistakes has one manifest for each mistake. The lines that are wanted begin with line and column;
// of longer ones only the beginning is compared.
var mistakes = []struct{ name, text, want string }{
	{"root", head + "extras: 1\ninitConfig: services: []\n",
		"3:1: extras is no part of a manifest; its parts are schemaVersion, " +
			"binaries, initConfig, kernelParams"},
	{"no device", services(service("a", "devices: [\"virtio-gpu\"]")),
		"4:37: there is no kind of device \"virtio-gpu\"; there are virtio-9p, "},
	{"untrusted device", services(service("a", "devices: [\"pci:1234:11e8\"]")),
		"4:37: with pci:1234:11e8 a could reach all memory; if it may, say in its " +
			"service: trusted: true"},
	{"untrusted grant", services(service("a", "grants: [\"trusted_devices\"]")),
		"4:36: with trusted_devices a could reach all memory; if it may, say in its " +
			"service: trusted: true"},
	{"second pci device", services(service("a", "trusted: true, devices: [\"pci:1:2\"]")),
		"4:52: there is no kind of device \"pci\"; there are virtio-9p, "},
	{"first device", services(service("a", "devices: [\"virtio-net:0\"]")),
		"4:37: \"0\" is no place among the devices of a kind; the first has none, the " +
			"second is \"virtio-net:1\""},
	{"device of two", services(service("a", "devices: [\"virtio-net\", \"virtio-net:1\"]"),
		service("b", "devices: [\"virtio-net:1\"]")),
		"5:37: a drives virtio-net:1 already; a device has one driver"},
	{"device twice", services(service("a", "devices: [\"virtio-net\", \"virtio-net\"]")),
		"4:51: a has a second capability virtio-net"},
	{"device that init has not", head + "initConfig: {init: grants: [#Init], services: [\n\t" +
		service("a", "devices: [\"virtio-net\"]") + ",\n]}\n",
		"4:37: init cannot give devices to a, because it does not hold it; say in the " +
			"manifest: initConfig: init: grants: [\"devices\"]"},
	{"no root", "binaries: {}\ninitConfig: services: []\n",
		"1:1: schemaVersion: field is required but not present"},
	{"version", "schemaVersion: 2\nbinaries: {}\ninitConfig: services: []\n",
		"1:16: schemaVersion: conflicting values"},
	{"syntax", head + "initConfig: services: [{\n",
		"3:26: expected '}', found 'EOF'"},
	{"reference", services(service("a", "memory: much")),
		"4:35: initConfig.services.memory: reference \"much\" not found"},
	{"import", "import \"nowhere.example/x\"\n" + head, "1:8: "},
	{"no services", head + "initConfig: services: []\n",
		"3:13: 0 services; 1 to 64 are possible"},
	{"unknown field", services(service("a", "restrat: \"never\"")),
		"4:27: initConfig.services[0].restrat: field not allowed"},
	{"missing field", services("{name: \"a\"}"),
		"4:2: initConfig.services[0].binary: field is required but not present"},
	{"type", services("{name: \"a\", binary: 3}"),
		"4:22: initConfig.services[0].binary: conflicting values 3 and string"},
	{"name", services(service("A b", "")),
		"4:9: initConfig.services[0].name: invalid value \"A b\""},
	{"alternatives", services(service("a", "restart: \"sometimes\"")),
		"4:27: initConfig.services[0].restart: no alternative fits; conflicting"},
	{"memory", services(service("a", "memory: \"64\"")),
		"4:27: initConfig.services[0].memory: no alternative fits;"},
	{"much memory", services(service("a", "memory: \"99999999999G\"")),
		"4:27: 99999999999G is no size that a machine has"},
	{"little memory", services(service("a", "memory: \"1K\"")),
		"4:27: 1K is less than a page"},
	{"no thread", services(service("a", "threads: -1")),
		"4:27: initConfig.services[0].threads: no alternative fits;"},
	{"cpu", services(service("a", "cpu: \"25\"")),
		"4:27: initConfig.services[0].cpu: no alternative fits;"},
	{"much cpu", services(service("a", "cpu: \"9999%\"")),
		"4:27: 9999% is more than the CPUs of any machine"},
	{"shared nothing", services(service("a", "caps: 9, shared: [\"caps\", \"calls\"]")),
		"4:53: calls has no limit here that could be a ceiling"},
	{"shared what", services(service("a", "shared: [\"disks\"]")),
		"4:36: initConfig.services[0].shared[0]: no alternative fits;"},
	{"binary", services("{name: \"a\", binary: \"q\"}"),
		"4:14: there is no binary \"q\" in binaries"},
	{"two services", services(service("a", ""), service("a", "")),
		"5:3: a second service a; the first is at 4"},
	{"two endpoints", services(service("a", "serves: s: {}"),
		service("b", "serves: s: {}")),
		"5:35: a second endpoint s; a serves the first"},
	{"endpoint", services(service("a", "uses: s: {}")),
		"4:33: no service serves an endpoint \"s\"; say in that which does: " +
			"serves: \"s\": {}"},
	{"endpoint by name", services(service("a", "uses: s: endpoint: \"x\"")),
		"4:36: no service serves an endpoint \"x\""},
	{"dependency", services(service("a", "after: [\"b\"]")),
		"4:35: there is no service \"b\""},
	{"cycle of one", services(service("a", "after: [\"a\"]")),
		"4:3: a cycle: a waits for a"},
	{"cycle", services(service("d", "after: [\"a\"]"), service("a", "uses: s: {}"),
		service("b", "serves: s: {}, after: [\"c\"]"),
		service("c", "after: [\"a\"]")),
		"5:3: a cycle: a waits for b, b waits for c, c waits for a"},
	{"grant", services(service("a", "grants: [\"stdout\", \"netwrok\"]")),
		"4:46: there is no grant \"netwrok\"; there are " +
			strings.Join(abi.GrantNames[:], ", ")},
	{"grant not held", head + "initConfig: {\n\tinit: grants: [#Init]\n\tservices: [" +
		service("a", "grants: [\"entropy\"]") +
		"]\n}\n",
		"5:47: init cannot give entropy to a, because it does not hold it; " +
			"say in the manifest: initConfig: init: grants: [\"entropy\"]"},
	{"init", head + "initConfig: {\n\tinit: grants: [\"vm\"]\n\tservices: [" +
		service("a", "") + "]\n}\n",
		"4:8: init itself needs stderr, thread_control, thread_spawner,"},
	{"two of a name", services(service("a", "grants: [#C, \"vm\"]")),
		"4:40: a has a second capability vm"},
	{"grant and endpoint", services(service("a", "grants: [\"vm\"], serves: vm: {}")),
		"4:51: a has a second capability vm"},
	{"ready and endpoint", services(service("a", "ready: true, serves: ready: {}")),
		"4:48: a has a second capability ready"},
	{"two readers", services(service("a", "grants: [\"stdin\"]"),
		service("b", "grants: [\"stdin\"]")),
		"5:36: a has stdin already; only one service can read it"},
	{"two foreground", services(service("a", "foreground: true"),
		service("b", "foreground: true")), "5:27: a is in the foreground already"},
	{"zero byte", services(service("a", `args: ["x\u0000"]`)),
		"4:34: an argument with a zero byte"},
	{"long", services(service("a", "args: [\""+strings.Repeat("x", 262144)+"\"]")),
		"4:2: arguments and environment of a have 262145 bytes; 258048 are possible"},
	{"tag", services(service("a", "serves: s: {}"), service("b", "uses: s: tag: -1")),
		"5:36: initConfig.services[1].uses.s.tag: no alternative fits;"},
	{"console service", services(service("consoled", "grants: [\"stdout\"]"),
		service("b", "grants: [\"stderr\"]")),
		"4:3: consoled is the name of the service that writes to the console"},
	{"streams", services(writers(29)...),
		"3:1: 29 services have stdout or stderr, 58 streams together; consoled can " +
			"read 56"},
	{"init without pipes", head + "initConfig: {init: grants: [#Init, \"stdout\"]\n" +
		"console: \"labelled\"\nservices: [" + service("a", "grants: [\"stdout\"]") +
		"]}\n",
		"4:1: init cannot give pipe_factory to consoled, because it does not hold it"},
	{"channel", kernel("channel: \"none\""),
		"6:15: ./capos run chooses the channel itself"},
	{"parameter", kernel("x: \"a b\""), "6:15: a parameter has no blanks: \"x=a b\""},
}

func kernel(parameter string) string {
	return services(service("a", "")) + "kernelParams: " + parameter + "\n"
}

// writers are services that all write to the console.
func writers(count int) (list []string) {
	for i := range count {
		list = append(list, service(fmt.Sprint("s", i), "grants: [\"stdout\", \"stderr\"]"))
	}
	return list
}

// TestConsole looks at which services write through consoled, and whether it comes before them.
func TestConsole(t *testing.T) {
	two := writers(2)
	for _, test := range []struct {
		name, console string
		services      []string
		want          bool
	}{
		{"two", "", two, true},
		{"one", "", two[:1], false},
		{"shared", "console: \"shared\", ", two, false},
		{"labelled", "console: \"labelled\", ", two[:1], true},
		{"none", "", []string{service("a", ""), service("b", "grants: [\"init_log\"]")},
			false},
	} {
		m, mistakes := readText(t, head+"initConfig: {"+test.console+"services: ["+
			strings.Join(test.services, ",")+"]}\n")
		if mistakes != "" {
			t.Fatalf("%s: %s", test.name, mistakes)
		}
		first := m.Services[0]
		last := m.Services[len(m.Services)-1]
		if first.Console != test.want || last.Labelled != test.want {
			t.Errorf("%s: %+v", test.name, m.Services)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, test := range mistakes {
		t.Run(test.name, func(t *testing.T) {
			_, got := readText(t, test.text)
			if !strings.HasPrefix(got, test.want) || strings.Contains(got, "\n") {
				t.Errorf("the mistakes are\n%s\nwanted\n%s", got, test.want)
			}
		})
	}
}

func TestAllMistakesAreTold(t *testing.T) {
	_, got := readText(t, services("{name: \"a\", binary: \"q\", after: [\"x\"]}",
		service("b", "uses: s: {}")))
	if strings.Count(got, "\n") != 2 {
		t.Errorf("three mistakes are told as\n%s", got)
	}
}

func TestNoFile(t *testing.T) {
	_, lines := read("nowhere.cue")
	if want := []string{"nowhere.cue: there is no such file"}; !reflect.DeepEqual(lines, want) {
		t.Errorf("%q", lines)
	}
}

func TestDefaultsAndOrder(t *testing.T) {
	m, mistakes := readText(t, services(
		service("late", "uses: there: {endpoint: \"s\", tag: 7}"), service("first", ""),
		service("server", "serves: s: {}, memory: \"2M\", threads: 3, caps: 40, "+
			"calls: 5, cpu: \"25%\", shared: [\"memory\", \"cpu\"]")))
	if mistakes != "" {
		t.Fatal(mistakes)
	}
	plain := manifest.Service{Binary: "p", Args: []string{}, Restart: "never", Limit: 5,
		DelayMs: 100, DelayMaxMs: 10000, SteadyMs: 10000, ReadyMs: 10000,
		StopMs: 1000}
	first, server, late := plain, plain, plain
	first.Name, server.Name, late.Name = "first", "server", "late"
	server.Memory = 2 << 20
	server.Counts = bootimage.Counts{Threads: 3, Capabilities: 40, Calls: 5, CPU: 250}
	server.Shared = 1<<abi.BudgetMemory | 1<<abi.BudgetCpu
	server.Serves = []manifest.Serve{{Name: "s", Calls: 16}}
	late.Uses = []manifest.Use{{Name: "there", Endpoint: "s", Tag: 7}}
	late.After = []int{1}
	want := []manifest.Service{first, server, late}
	if !reflect.DeepEqual(m.Services, want) {
		t.Errorf("%+v\nwanted\n%+v", m.Services, want)
	}
	if !reflect.DeepEqual(m.InitGrants, abi.GrantNames[:]) {
		t.Errorf("init holds %v", m.InitGrants)
	}
}

func TestParameters(t *testing.T) {
	m, mistakes := readText(t, services(service("a", ""))+
		"kernelParams: {stats: true, clock: \"hpet\", linger: 3}\n")
	want := []string{"clock=hpet", "linger=3", "stats"}
	if mistakes != "" || !reflect.DeepEqual(m.KernelParams, want) {
		t.Errorf("%v, %s", m, mistakes)
	}
}

// TestPrinted reads what ./capos run --manifest prints.
func TestPrinted(t *testing.T) {
	var out strings.Builder
	err := manifest.Print(&out, manifest.Service{Name: manifest.ServiceName("A.out"),
		Args: []string{"one", "\"\\(two)\n\u00fc"}, Env: []string{"A=", "B-x=1=2"},
		Grants: manifest.UnsaidGrants(), Memory: 64 << 20,
		Counts: bootimage.Counts{Threads: 7, CPU: 100}}, "dir/a.out",
		[]string{"A sentence."}, []string{"threads: 9"})
	if err != nil {
		t.Fatal(err)
	}
	m, mistakes := readText(t, out.String())
	if mistakes != "" {
		t.Fatalf("%s\n%s", mistakes, out.String())
	}
	want := manifest.Service{Name: "a_out", Binary: "a_out", Memory: 64 << 20,
		Counts: bootimage.Counts{Threads: 7, CPU: 100},
		Args:   []string{"one", "\"\\(two)\n\u00fc"}, Env: []string{"A=", "B-x=1=2"},
		Grants: manifest.UnsaidGrants(), Foreground: true, Restart: "never", Limit: 5,
		DelayMs: 100, DelayMaxMs: 10000, SteadyMs: 10000, ReadyMs: 10000,
		StopMs: 1000}
	if !reflect.DeepEqual(m.Services, []manifest.Service{want}) ||
		m.Binaries["a_out"] != "dir/a.out" {
		t.Errorf("%+v\nwanted\n%+v", m.Services, want)
	}
}

// TestExample reads the manual's example, which is that of examples/system.
func TestExample(t *testing.T) {
	manual, err := os.ReadFile("../../docs/manifest.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("../../examples/system/system.cue")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(manual), "```cue\n"+string(example)+"```\n") {
		t.Error("docs/manifest.md does not have examples/system/system.cue as it is")
	}
	if _, mistakes := readText(t, string(example)); mistakes != "" {
		t.Error(mistakes)
	}
}
