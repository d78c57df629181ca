// Command cuebench measures the CUE library, which is a large Go program that never enters the
// kernel for its own sake: a manifest of a hundred services, and questions to a policy. Package
// measure says how, and what is printed. Arguments name the rows to measure.
package main

import (
	_ "embed"
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"runtime"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"

	"capos.dev/bench/measure"
)

//go:embed manifest.cue
var manifestSchema string

//go:embed policy.cue
var policyText string

func main() {
	flag.Parse()
	measure.Only = flag.Args()
	measure.Begin()
	measure.Clock()
	measure.All([]measure.Row{
		{Name: "cue.manifest", Unit: measure.Total, Ops: 1, Prepare: runtime.GC,
			Run: func(int) uint64 { return checkManifest() }},
		{Name: "cue.policy", Unit: measure.Total, Ops: questions, Prepare: preparePolicy,
			Run: askPolicy},
	})
	measure.End()
}

const services = 100

// writeManifest makes the services. Each third is critical, and each needs up to three of those
// before it.
func writeManifest() string {
	var text strings.Builder
	text.WriteString("package fleet\n")
	for i := range services {
		fmt.Fprintf(&text, "services: \"service-%02d\": {\n"+
			"\timage: \"registry/team.%c:%d.%d\"\n", i, 'a'+i%7, i%4, i%10)
		if i%3 == 0 {
			fmt.Fprintf(&text, "\ttier: \"critical\"\n\treplicas: %d\n", 3+i%5)
		}
		fmt.Fprintf(&text, "\tports: [{name: \"http\", port: %d}, "+
			"{name: \"metrics\", port: %d}]\n", 8000+i, 9000+i)
		if i%4 == 0 {
			fmt.Fprintf(&text, "\tlimits: memory: %d\n", 128<<(i%5))
		}
		fmt.Fprintf(&text, "\tenv: {LEVEL: \"info\", SHARD_%d: \"%d\"}\n", i%8, i)
		fmt.Fprintf(&text, "\tlabels: team: \"team-%c\"\n\tneeds: [", 'a'+i%7)
		for need := 1; need <= min(i, 3); need++ {
			fmt.Fprintf(&text, "\"service-%02d\", ", i-need)
		}
		text.WriteString("]\n}\n")
	}
	return text.String()
}

// checkManifest does all that a tool does with a manifest: reads it, checks it, exports it.
func checkManifest() uint64 {
	ctx := cuecontext.New()
	schema := ctx.CompileString(manifestSchema, cue.Filename("manifest.cue"))
	fleet := schema.Unify(ctx.CompileString(writeManifest(), cue.Filename("services.cue"),
		cue.Scope(schema)))
	if err := fleet.Validate(cue.Concrete(true)); err != nil {
		fail(err)
	}
	text, err := fleet.MarshalJSON()
	if err != nil {
		fail(err)
	}
	return digest(text)
}

var policy cue.Value

// questions is how many one sample asks.
const questions = 100

func preparePolicy() {
	policy = cuecontext.New().CompileString(policyText, cue.Filename("policy.cue"))
	runtime.GC()
}

// askPolicy asks n questions, each of JSON as a server gets it.
func askPolicy(n int) uint64 {
	roles := []string{"admin", "operator", "reader"}
	actions := []string{"read", "write", "delete"}
	var answers strings.Builder
	for i := range n {
		question := fmt.Sprintf(`{"user": {"name": "user%d", "roles": [%q]}, `+
			`"action": %q, "resource": "/fleet/service-%d", "hour": %d}`, i,
			roles[i%3], actions[i/3%3], i%services, i*7%24)
		request := policy.Context().CompileString(question)
		answer := policy.FillPath(cue.ParsePath("request"), request)
		if err := answer.Validate(cue.Concrete(true)); err != nil {
			fail(err)
		}
		allowed, err := answer.LookupPath(cue.ParsePath("allowed")).Bool()
		if err != nil {
			fail(err)
		}
		reason, err := answer.LookupPath(cue.ParsePath("reason")).String()
		if err != nil {
			fail(err)
		}
		fmt.Fprintln(&answers, i, allowed, reason)
	}
	return digest([]byte(answers.String()))
}

func digest(data []byte) uint64 {
	h := fnv.New64a()
	h.Write(data)
	return h.Sum64()
}

// fail ends the program and the comparison.
func fail(err error) {
	fmt.Println("fail", strings.ReplaceAll(errors.Details(err, nil), "\n", "; "))
	os.Exit(1)
}
