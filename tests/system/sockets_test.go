//go:build capos

package system

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// soon is a deadline that only something lost can reach.
func soon() time.Time { return time.Now().Add(30 * time.Second) }

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// unixgram returns a server and a client that is connected to it. The server has no peer: it
// receives from any sender.
func unixgram(t *testing.T) (server, client *net.UnixConn) {
	address := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "socket"), Net: "unixgram"}
	server = must[*net.UnixConn](t)(net.ListenUnixgram("unixgram", address))
	t.Cleanup(func() { server.Close() })
	client = must[*net.UnixConn](t)(net.DialUnix("unixgram", nil, address))
	t.Cleanup(func() { client.Close() })
	client.SetDeadline(soon())
	server.SetDeadline(soon())
	return server, client
}

// A sender that finds the queue of a datagram socket full goes on when there is room again.
func TestUnixgramSenderWaitsForRoom(t *testing.T) {
	server, client := unixgram(t)
	const count, size = 500, 1000 // more than a queue takes
	sent := make(chan error)
	go func() {
		for i := range count {
			if _, err := client.Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				sent <- fmt.Errorf("datagram %d: %w", i, err)
				return
			}
		}
		sent <- nil
	}()
	time.Sleep(50 * time.Millisecond) // the queue fills
	buf := make([]byte, size+1)
	for i := range count {
		n, err := server.Read(buf)
		if err != nil || n != size || buf[0] != byte(i) {
			t.Fatalf("datagram %d: %d bytes of %d, %v", i, n, buf[0], err)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// Its send fails when the receiver is closed instead.
func TestUnixgramSenderLearnsOfTheEnd(t *testing.T) {
	server, client := unixgram(t)
	ended := make(chan error)
	go func() {
		for {
			if _, err := client.Write(make([]byte, 1000)); err != nil {
				ended <- err
				return
			}
		}
	}()
	time.Sleep(50 * time.Millisecond)
	server.Close()
	if err := <-ended; os.IsTimeout(err) {
		t.Error(err)
	}
}

// Empty datagrams take room as well.
func TestEmptyDatagramsHaveABound(t *testing.T) {
	pair := must[[2]int](t)(syscall.Socketpair(syscall.AF_UNIX,
		syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK, 0))
	defer syscall.Close(pair[0])
	defer syscall.Close(pair[1])
	for range 1 << 16 {
		if err := syscall.Sendto(pair[0], nil, 0, nil); err != nil {
			if err != syscall.EAGAIN {
				t.Error(err)
			}
			return
		}
	}
	t.Error("65536 empty datagrams wait")
}

// The end of what one side writes is reported to the other, which may be waiting for it.
func TestUnixpacketCloseWrite(t *testing.T) {
	address := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "socket"), Net: "unixpacket"}
	listener := must[*net.UnixListener](t)(net.ListenUnix("unixpacket", address))
	defer listener.Close()
	client := must[*net.UnixConn](t)(net.DialUnix("unixpacket", nil, address))
	defer client.Close()
	server := must[net.Conn](t)(listener.Accept())
	defer server.Close()
	server.SetDeadline(soon())
	time.AfterFunc(50*time.Millisecond, func() { client.CloseWrite() })
	if n, err := server.Read(make([]byte, 10)); n != 0 || err != nil && err != io.EOF {
		t.Error(n, err)
	}
}

// A side that reads no more from a TCP connection finds its end, and the other side can go on
// writing.
func TestTCPCloseRead(t *testing.T) {
	listener := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	defer listener.Close()
	client := must[net.Conn](t)(net.Dial("tcp", listener.Addr().String()))
	defer client.Close()
	server := must[net.Conn](t)(listener.Accept())
	defer server.Close()
	client.SetDeadline(soon())
	server.SetDeadline(soon())
	if err := client.(*net.TCPConn).CloseRead(); err != nil {
		t.Fatal(err)
	}
	if n, err := server.Write(make([]byte, 1<<20)); n != 1<<20 || err != nil {
		t.Error("write:", n, err)
	}
	if n, err := client.Read(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Error("read:", n, err)
	}
	client.Close()
	if _, err := server.Write(make([]byte, 10)); err == nil {
		t.Error("a write after the other side was closed succeeds")
	}
}

// ---- descriptors sent along
// ------------------------------------------------------------------------------------------

// pairOf returns two connected sockets.
func pairOf(t *testing.T, kind int) (a, b int) {
	pair := must[[2]int](t)(syscall.Socketpair(syscall.AF_UNIX, kind|syscall.SOCK_NONBLOCK, 0))
	t.Cleanup(func() {
		syscall.Close(pair[0])
		syscall.Close(pair[1])
	})
	return pair[0], pair[1]
}

// named returns a descriptor of a file with that text in it.
func named(t *testing.T, text string) int {
	file := must[*os.File](t)(os.Create(filepath.Join(t.TempDir(), "file")))
	t.Cleanup(func() { file.Close() })
	file.WriteString(text)
	return int(file.Fd())
}

// sendWith sends bytes and a file that holds them as well.
func sendWith(t *testing.T, fd int, text string) {
	t.Helper()
	if n, err := syscall.SendmsgN(fd, []byte(text), syscall.UnixRights(named(t, text)), nil,
		0); n != len(text) || err != nil {
		t.Fatal(n, err)
	}
}

// receiveWith receives at most limit bytes and returns them and the texts of the files that came.
func receiveWith(t *testing.T, fd, limit int) (text string, files []string) {
	t.Helper()
	p, oob := make([]byte, limit), make([]byte, 200)
	n, oobn, _, _, err := syscall.Recvmsg(fd, p, oob, 0)
	if err != nil {
		t.Fatal(err)
	}
	messages := must[[]syscall.SocketControlMessage](t)(syscall.ParseSocketControlMessage(
		oob[:oobn]))
	for i := range messages {
		for _, fd := range must[[]int](t)(syscall.ParseUnixRights(&messages[i])) {
			buf := make([]byte, 100)
			n := must[int](t)(syscall.Pread(fd, buf, 0))
			files = append(files, string(buf[:n]))
			syscall.Close(fd)
		}
	}
	return string(p[:n]), files
}

func expectWith(t *testing.T, fd, limit int, text string, files ...string) {
	t.Helper()
	gotText, gotFiles := receiveWith(t, fd, limit)
	if gotText != text || fmt.Sprint(gotFiles) != fmt.Sprint(files) {
		t.Errorf("received %q with %q, expected %q with %q", gotText, gotFiles, text, files)
	}
}

// Files arrive with the message they were sent with, however the receiver reads.
func TestFilesStayWithTheirMessage(t *testing.T) {
	for _, kind := range []int{syscall.SOCK_DGRAM, syscall.SOCK_SEQPACKET} {
		a, b := pairOf(t, kind)
		syscall.Write(a, []byte("none"))
		sendWith(t, a, "one")
		sendWith(t, a, "two")
		expectWith(t, b, 100, "none")
		// the rest of a datagram is lost, and its files are not
		expectWith(t, b, 2, "on", "one")
		expectWith(t, b, 100, "two", "two")
	}
	a, b := pairOf(t, syscall.SOCK_STREAM)
	syscall.Write(a, []byte("none"))
	sendWith(t, a, "one")
	sendWith(t, a, "two")
	syscall.Write(a, []byte("end"))
	expectWith(t, b, 2, "no")
	expectWith(t, b, 100, "neone", "one") // a read does not go beyond bytes with files
	expectWith(t, b, 1, "t", "two")       // and gets them with the first of these bytes
	expectWith(t, b, 100, "woend")
}

// A send that fails sends no files, and a read that does not ask for files drops those that came.
func TestFilesOfFailedSends(t *testing.T) {
	for _, kind := range []int{syscall.SOCK_DGRAM, syscall.SOCK_STREAM} {
		a, b := pairOf(t, kind)
		fill, count := make([]byte, 4096), 0
		for ; ; count++ {
			if _, err := syscall.Write(a, fill); err != nil {
				break
			}
		}
		if _, err := syscall.SendmsgN(a, fill, syscall.UnixRights(named(t, "lost")), nil,
			0); err != syscall.EAGAIN {
			t.Fatal("a full socket answers", err)
		}
		for range count {
			if _, files := receiveWith(t, b, len(fill)); len(files) != 0 {
				t.Fatal("files came with another message:", files)
			}
		}
		sendWith(t, a, "dropped")
		if n, err := syscall.Read(b, fill); n != len("dropped") || err != nil {
			t.Error(n, err)
		}
		sendWith(t, a, "last")
		expectWith(t, b, 100, "last", "last")
	}
}

// A file in transit counts as open. The end of a pipe comes when it is received and closed, or when
// it cannot be received any more.
func TestFilesOnTheirWayAreOpen(t *testing.T) {
	for _, kind := range []int{syscall.SOCK_DGRAM, syscall.SOCK_STREAM} {
		a, b := pairOf(t, kind)
		var ends [2]int
		if err := syscall.Pipe2(ends[:], syscall.O_NONBLOCK); err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(ends[0])
		if _, err := syscall.SendmsgN(a, []byte("x"), syscall.UnixRights(ends[1]), nil,
			0); err != nil {
			t.Fatal(err)
		}
		syscall.Close(ends[1])
		if n, err := syscall.Read(ends[0], make([]byte, 1)); err != syscall.EAGAIN {
			t.Error("while the file is on its way:", n, err)
		}
		other := must[int](t)(syscall.Dup(b)) // the cleanup closes b's number
		syscall.Close(b)
		syscall.Close(other)
		if n, err := syscall.Read(ends[0], make([]byte, 1)); n != 0 || err != nil {
			t.Error("after its receiver was closed:", n, err)
		}
	}
}

// ---- descriptors
// ------------------------------------------------------------------------------------------

// Sockets are different files.
func TestSocketsAreTold(t *testing.T) {
	a, b := pairOf(t, syscall.SOCK_STREAM)
	var first, second syscall.Stat_t
	if err := syscall.Fstat(a, &first); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Fstat(b, &second); err != nil {
		t.Fatal(err)
	}
	if first.Dev == second.Dev && first.Ino == second.Ino {
		t.Errorf("both ends are inode %d", first.Ino)
	}
}

// Numbers have a bound, so that asking for a huge one costs no memory.
func TestDescriptorNumbersAreBounded(t *testing.T) {
	fd := named(t, "")
	const tooLarge = 1 << 40
	if err := syscall.Dup2(fd, tooLarge); err != syscall.EBADF {
		t.Error("Dup2:", err)
	}
	if err := syscall.Dup2(fd, 1000); err != nil {
		t.Error("Dup2:", err)
	}
	syscall.Close(1000)
}

// A descriptor that gets the number of one that is being closed stays registered with the poller.
func TestCloseAndReuse(t *testing.T) {
	a, b := pairOf(t, syscall.SOCK_STREAM)
	var stop atomic.Bool
	var others sync.WaitGroup
	for range 2 {
		others.Go(func() {
			for !stop.Load() {
				if fd, err := syscall.Dup(b); err == nil {
					syscall.Close(fd)
				}
			}
		})
	}
	defer others.Wait()
	defer stop.Store(true)
	rounds := 400
	if runtime.NumCPU() == 1 {
		rounds = 40 // each waits for both of the others' slices
	}
	for i := range rounds {
		file := os.NewFile(uintptr(must[int](t)(syscall.Dup(b))), "socket")
		file.SetReadDeadline(soon())
		time.AfterFunc(20*time.Microsecond, func() { syscall.Write(a, []byte{1}) })
		if _, err := file.Read(make([]byte, 1)); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		file.Close()
	}
}
