// Assertions in the local format of Antithesis' SDK: one fails in some runs, one is never seen.
package asserts

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// say writes what assert.Always and assert.Sometimes of the SDK write.
func say(out *os.File, kind, display, message string, condition bool) {
	fmt.Fprintf(out, `{"antithesis_assert":{"location":{"class":"asserts","function":"say",`+
		`"file":"x_test.go","begin_line":15,"begin_column":0},"assert_type":%q,`+
		`"display_type":%q,"message":%q,"id":%q,"hit":true,"must_hit":true,`+
		`"condition":%v}}`+"\n", kind, display, message, message, condition)
}

func TestOrder(t *testing.T) {
	out, err := os.OpenFile(os.Getenv("ANTITHESIS_SDK_LOCAL_OUTPUT"),
		os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
		})
		mu.Lock()
		count := len(order)
		mu.Unlock()
		say(out, "sometimes", "Sometimes", "both at once", count > 2)
		say(out, "sometimes", "Sometimes", "not yet", count <= i)
	}
	wg.Wait()
	say(out, "always", "Always", "the first comes first", order[0] == 0)
}
