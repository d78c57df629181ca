// A select that takes the case for the end while there still is data. No order of the goroutines
// matters, only which of the two ready cases is taken.
package drained

import (
	"slices"
	"testing"
)

func sum(data chan int, end chan struct{}) (sum int) {
	for {
		select {
		case v := <-data:
			sum += v
		case <-end:
			return sum
		}
	}
}

func TestSum(t *testing.T) {
	data, end := make(chan int, 2), make(chan struct{})
	data <- 1
	data <- 2
	close(end)
	if got := sum(data, end); !slices.Contains([]int{1, 3}, got) {
		t.Fatal(got)
	}
}
