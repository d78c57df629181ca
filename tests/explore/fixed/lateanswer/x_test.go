// After a timeout the connection is not used again.
package lateanswer

import (
	"bufio"
	"fmt"
	"net"
	"testing"
	"time"
)

func serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewScanner(c)
	for in.Scan() {
		fmt.Fprintf(c, "re: %s\n", in.Text())
	}
}

func TestAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			serve(c)
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for i := range 4 {
		fmt.Fprintf(c, "%d\n", i)
		c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		s, err := in.ReadString('\n')
		if err != nil {
			return // the answer may come later: this connection has no use any more
		}
		if s != fmt.Sprintf("re: %d\n", i) {
			t.Fatalf("question %d was answered %q", i, s)
		}
	}
}
