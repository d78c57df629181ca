// Command probe does one thing that tests look at from outside. It ends in some way, waits for
// input or a key, sleeps, or reports what it finds. The first argument says which.
package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

var modes = map[string]func(args []string){
	"hello": hello, "bad-address": badAddress, "stack-overflow": stackOverflow,
	"deadlock": deadlock, "map-writes": mapWrites,
	"goroutine-panic": goroutinePanic, "unlock": unlock, "exit-in-goroutine": exitInGoroutine,
	"nil":   dereferenceNil,
	"stdin": readWhileOthersRun, "busy": busy, "notify": notify, "sleep": sleep,
	"random": random, "churn": churn, "export": export,
	"fill": fill, "crash-log": crashLog, "locked": lockedThreads,
	"make": makeBytes,
}

func main() {
	if len(os.Args) < 2 || modes[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "probe: which mode?")
		os.Exit(3)
	}
	modes[os.Args[1]](os.Args[2:])
}

func hello([]string) { fmt.Println("hello") }

// The address is inside the user half and far from everything that is mapped.
func badAddress([]string) {
	defer func() { fmt.Println("recovered", recover()) }() // must not happen
	address := uintptr(0x123456789000)
	fmt.Println(*(*byte)(unsafe.Pointer(address)))
}

func dereferenceNil([]string) {
	var p *[100]int
	fmt.Println(p[int(time.Now().UnixNano()&7)])
}

// The limit is less than the default of 1 GiB, for which a machine would need twice as much, and
// the frames are large, because growing a stack visits each.
func stackOverflow([]string) {
	debug.SetMaxStack(64 << 20)
	fmt.Println(endless(1))
}

func endless(n int) int {
	var pad [2000]byte
	pad[n%len(pad)] = 1
	return endless(n+1) + int(pad[n%7])
}

func deadlock([]string) { <-make(chan int) }

func mapWrites([]string) {
	m := map[int]int{}
	for worker := range 4 {
		go func() {
			for i := 0; ; i++ {
				m[i&0xff+worker] = i
			}
		}()
	}
	select {}
}

func goroutinePanic([]string) {
	go func() { panic("from a goroutine") }()
	select {}
}

func unlock([]string) {
	var lock sync.Mutex
	lock.Unlock()
}

func exitInGoroutine([]string) {
	for range 50 {
		go func() {
			for {
				runtime.Gosched()
			}
		}()
	}
	go os.Exit(7)
	for {
	}
}

// readWhileOthersRun has one P, which the read of standard input must not keep.
func readWhileOthersRun([]string) {
	runtime.GOMAXPROCS(1)
	lines := make(chan string)
	go func() {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			lines <- in.Text()
		}
		close(lines)
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	for ticks := 1; ; {
		select {
		case <-tick.C:
			if ticks++; ticks == 20 {
				fmt.Println("20 ticks")
			}
		case line, more := <-lines:
			if !more {
				fmt.Println("end of input")
				return
			}
			fmt.Printf("read %q, ticked %v\n", line, ticks >= 20)
		}
	}
}

//go:noinline
func spinning() {
	fmt.Println("ready")
	for {
	}
}

// busy occupies every CPU, with a goroutine that waits beside them.
func busy([]string) {
	for range runtime.GOMAXPROCS(0) {
		go spinning()
	}
	waiting(make(chan int))
}

//go:noinline
func waiting(c chan int) { <-c }

func notify([]string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	fmt.Println("ready")
	fmt.Println("got", <-signals)
	os.Exit(5)
}

func sleep(args []string) {
	duration, err := time.ParseDuration(args[0])
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	start := time.Now()
	time.Sleep(duration)
	fmt.Println("late by", int64(time.Since(start)-duration))
}

// random prints the first bytes of the generator.
func random([]string) {
	var b [16]byte
	rand.Read(b[:])
	fmt.Printf("random=%x\n", b)
}

// churn allocates MIB megabytes in pieces and keeps one megabyte of them.
func churn(args []string) {
	total, err := strconv.Atoi(args[0])
	if err != nil {
		panic(err)
	}
	var kept [16][]byte
	for i := range total * 16 {
		piece := make([]byte, 64<<10)
		for index := range piece {
			piece[index] = byte(i)
		}
		kept[i%len(kept)] = piece
	}
	for i, piece := range kept {
		if want := byte(total*16 - len(kept) + i); piece[0] != want ||
			piece[len(piece)-1] != want {
			fmt.Println("wrong contents", piece[0], want)
			os.Exit(1)
		}
	}
	debug.FreeOSMemory()
	fmt.Println("churned")
}

// export gives the host files in every way besides writing and closing them.
func export(args []string) {
	dir := args[0]
	outside := func(name string) string { return filepath.Join(os.TempDir(), name) }
	inside := func(name string) string { return filepath.Join(dir, name) }
	write := func(path string) { must(os.WriteFile(path, []byte(filepath.Base(path)), 0o666)) }

	write(outside("moved"))
	must(os.Rename(outside("moved"), inside("moved")))
	must(os.Mkdir(outside("tree"), 0o777))
	write(outside("tree/leaf"))
	must(os.Rename(outside("tree"), inside("tree")))
	write(outside("linked"))
	must(os.Link(outside("linked"), inside("linked")))
	must(file(os.OpenFile(inside("empty"), os.O_CREATE|os.O_WRONLY, 0o666)).Close())

	open := file(os.Create(outside("open")))
	open.WriteString("op")
	must(os.Rename(open.Name(), inside("open")))
	open.WriteString("en")
	must(open.Close())

	mapWritten(inside("mapped"), syscall.Munmap)
	mapWritten(inside("unmapped-at-the-end"), func([]byte) error { return nil })
	mapWritten(inside("unreadable"), func(b []byte) error {
		must(syscall.Mprotect(b, syscall.PROT_NONE))
		return syscall.Munmap(b)
	})
	fmt.Println(os.Mkdir(filepath.Join(filepath.Dir(dir), "beside"), 0o777))
}

// mapWritten writes a file's name into it through memory, after closing it.
func mapWritten(path string, end func([]byte) error) {
	name := filepath.Base(path)
	f := file(os.Create(path))
	must(f.Truncate(int64(len(name))))
	b, err := syscall.Mmap(int(f.Fd()), 0, len(name), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_SHARED)
	must(err)
	must(f.Close())
	copy(b, name)
	must(end(b))
}

func file(f *os.File, err error) *os.File {
	must(err)
	return f
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// fill writes a file until there is no memory for more, and then makes names until there is none
// for those. It does both twice and reports how many bytes and names there were.
func fill([]string) {
	dir := must1(os.MkdirTemp("", "fill"))
	for range 2 {
		fmt.Println("bytes", fillWithBytes(filepath.Join(dir, "file")))
		fmt.Println("names", fillWithNames(dir))
	}
}

func fillWithBytes(path string) (total int64) {
	f := must1(os.Create(path))
	defer os.Remove(path)
	defer f.Close()
	block := bytes.Repeat([]byte("full"), 16<<10)
	var err error
	for n := 0; err == nil; total += int64(n) {
		n, err = f.Write(block)
	}
	last := make([]byte, 4096)
	_, readErr := f.ReadAt(last, total-int64(len(last)))
	size := must1(f.Stat()).Size()
	if !errors.Is(err, syscall.ENOSPC) || readErr != nil || size != total ||
		!bytes.Equal(last, block[:len(last)]) {
		fmt.Println("not full as it should be:", total, size, err, readErr)
	}
	var garbage [16][]byte // there is memory for the program
	for i := range 256 {
		garbage[i%len(garbage)] = make([]byte, 64<<10)
	}
	return total
}

func fillWithNames(dir string) (count int) {
	var err error
	name := func(i int) string { return filepath.Join(dir, strconv.Itoa(i)) }
	for ; err == nil; count++ {
		err = os.Symlink("x", name(count))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		fmt.Println("not full as it should be:", err)
	}
	for i := range count - 1 {
		must(os.Remove(name(i)))
	}
	return count
}

func must1[T any](value T, err error) T {
	must(err)
	return value
}

// makeBytes asks for two to the power of the argument.
func makeBytes(args []string) {
	made = make([]byte, 1<<must1(strconv.Atoi(args[0])))
}

var made []byte

// lockedThreads has that many threads at once, which all block and then end, and prints how long it
// took.
func lockedThreads(args []string) {
	threads := must1(strconv.Atoi(args[0]))
	begin := time.Now()
	var arrived, ended sync.WaitGroup
	arrived.Add(threads)
	leave := make(chan bool)
	for range threads {
		ended.Go(func() {
			runtime.LockOSThread() // for good: the thread ends with its goroutine
			arrived.Done()
			<-leave
		})
	}
	arrived.Wait()
	close(leave)
	ended.Wait()
	fmt.Println(time.Since(begin))
}

// crashLog makes a file standard error itself, or the crash output, and then ends in the way that
// the third argument says. Text that it writes and prints before belongs to standard error.
func crashLog(args []string) {
	path, place, end := args[0], args[1], args[2]
	f := file(os.Create(path))
	must1(f.WriteString("first\n"))
	if place == "stderr" {
		must(syscall.Dup2(int(f.Fd()), 2))
	} else {
		must(debug.SetCrashOutput(f, debug.CrashOptions{}))
	}
	fmt.Fprintln(os.Stderr, "written")
	println("printed")
	switch end {
	case "panic":
		panic("the last words")
	case "throw":
		<-make(chan int) // deadlock
	case "signal":
		must(syscall.Kill(os.Getpid(), syscall.SIGTERM))
		time.Sleep(time.Minute)
	case "exit":
		os.Exit(3)
	}
}
