// Command exec starts itself, writes to its child through a pipe and reads its answers. The child
// ends by the signal that it is sent.
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
)

func main() {
	if len(os.Args) > 1 {
		child()
		return
	}
	cmd := exec.Command(os.Args[0], "child")
	cmd.Stderr = os.Stderr
	questions, err := cmd.StdinPipe()
	if err != nil {
		log.Fatal(err)
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		log.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(answers)
	for _, question := range []string{"hello", "goodbye"} {
		fmt.Fprintln(questions, question)
		if !lines.Scan() {
			log.Fatal("no answer: ", lines.Err())
		}
		fmt.Printf("parent: %q was answered with %s\n", question, lines.Text())
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		log.Fatal(err)
	}
	fmt.Println("parent: it ended:", cmd.Wait())
}

// child answers each line with itself in capitals, for ever.
func child() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Printf("%q, and has process id %d\n", strings.ToUpper(lines.Text()),
			os.Getpid())
	}
}
