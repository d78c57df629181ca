// A goroutine that is left when the test is over. It could still run, so it is no leak.
package left

import "testing"

var stop = make(chan bool)

func TestStarts(t *testing.T) {
	started := make(chan bool)
	go func() {
		started <- true
		<-stop
	}()
	<-started
}
