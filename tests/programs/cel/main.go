// Command cel compiles and evaluates expressions: types, macros, functions of its own, errors,
// costs, and expressions that only a part of the input is known for.
package main

import (
	"fmt"
	"log"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

func main() {
	log.SetFlags(0)
	env, err := cel.NewEnv(cel.EnableMacroCallTracking(),
		ext.Strings(), ext.Lists(), ext.Math(),
		cel.Variable("user", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("ports", cel.ListType(cel.IntType)),
		cel.Variable("at", cel.TimestampType),
		cel.Function("shout", cel.MemberOverload("string_shout",
			[]*cel.Type{cel.StringType}, cel.StringType, cel.UnaryBinding(shout))))
	check(err)
	user := map[string]any{"name": "ada", "groups": []string{"admin", "dev"}, "age": 36}
	input := map[string]any{"ports": []int64{80, 443, 8080}, "user": user,
		"at": types.Timestamp{}}
	for _, text := range []string{
		`user.name.shout() + "!"`,
		`ports.filter(p, p > 100).map(p, p * 2)`,
		`ports.all(p, p > 0) && "admin" in user.groups`,
		`user.groups.exists_one(g, g.startsWith("d")) ? user.age + 1 : 0`,
		`{"a": 1, "b": [1.5, 2u, b"x"]}.size() == 2`,
		`duration("90m") + duration("30s")`,
		`timestamp("2026-01-31T10:00:00Z") + duration("24h")`,
		`timestamp("2026-01-31T10:00:00Z").getDayOfWeek("Europe/Berlin")`,
		`"a,b,,c".split(",").join("-").upperAscii().replace("-", "+")`,
		`"%s is %d (%.2f, %x)".format(["x", 3, 1.5, 255])`,
		`math.greatest(ports) - math.least(ports)`,
		`"(\\w+)@(\\w+)".matches("b@c") || "b@c".matches("(\\w+)@(\\w+)")`,
		`9223372036854775807 + 1`,
		`ports[7]`,
		`user.missing`,
		`1 / 0`,
		`has(user.missing) || type(user.age) == int`,
		`user.name + 1`,
		`ports.map(p, `,
		`unknown + 1`,
	} {
		evaluate(env, text, input)
	}
}

func shout(v ref.Val) ref.Val { return types.String(strings.ToUpper(string(v.(types.String)))) }

func evaluate(env *cel.Env, text string, input map[string]any) {
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		fmt.Printf("%s\n  does not compile: %v\n", text, issues.Err())
		return
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptTrackCost, cel.OptOptimize))
	check(err)
	value, details, err := program.Eval(input)
	if err != nil {
		fmt.Printf("%s\n  of type %s fails: %v\n", text, ast.OutputType(), err)
		return
	}
	back, err := cel.AstToString(ast)
	check(err)
	fmt.Printf("%s\n  of type %s is %v, for %d\n", back, ast.OutputType(), value.Value(),
		*details.ActualCost())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
