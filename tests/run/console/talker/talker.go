// Command talker writes to the console in the ways that a Go program has, ends a line late and
// leaves one without an end.
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	fmt.Println("printed")
	fmt.Fprintln(os.Stderr, "to standard error")
	println("by the runtime")
	fmt.Print("late ")
	time.Sleep(50 * time.Millisecond)
	fmt.Println("end")
	fmt.Print("cut ")
	time.Sleep(500 * time.Millisecond)
	fmt.Println("off")
	fmt.Print("no end")
}
