// Package running lets machines that run be found and looked into: each has a socket in the cache
// directory, in a directory that only its owner can enter.
//
// A connection gets a line of JSON, a Machine. It may then send a line "look", and gets a line of
// JSON, an answer, and behind it the messages of the kernel.
package running

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"capos.dev/tools/internal/repo"
)

// Machine tells about a running machine what its command knows.
type Machine struct {
	Name      string    `json:"name"`
	PID       int       `json:"pid"` // of the command
	Program   string    `json:"program"`
	Arguments []string  `json:"arguments,omitempty"`
	Since     time.Time `json:"since"`
	MemoryMiB int       `json:"memoryMiB"`
	CPUs      int       `json:"cpus"`
	// Silent says why the machine cannot be looked into; empty: it can.
	Silent string `json:"silent,omitempty"`

	socket string
}

// head is what comes before the kernel's messages.
type head struct {
	Error string `json:"error,omitempty"`
}

const (
	suffix  = ".sock"
	request = "look\n"

	// patience is how long one side waits for words of the other.
	patience = 5 * time.Second
	// lookPatience is how long a machine may take to answer.
	lookPatience = 30 * time.Second
)

// directory gives the directory of the sockets, which exists afterwards.
func directory() (string, error) {
	cache, err := repo.CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "machines")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o700)
}

// address names a file of the directory in a way that is short enough for a socket's address,
// wherever the directory is. It is valid while the directory is open.
func address(dir *os.File, name string) *net.UnixAddr {
	return &net.UnixAddr{Net: "unix",
		Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name)}
}

// Serve lets others find the machine, which has a Program and a PID, and look into it. stop ends
// that.
func Serve(m Machine, looks chan<- chan<- []byte) (stop func(), err error) {
	path, err := directory()
	if err != nil {
		return nil, err
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	m.Name = fmt.Sprintf("%s.%d", filepath.Base(m.Program), m.PID)
	file := m.Name + suffix
	early := m.Name + ".early"
	os.Remove(filepath.Join(path, early)) // of a command with this number that was killed
	listener, err := net.ListenUnix("unix", address(dir, early))
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // it would look for the name it was given
	// List removes a socket at which nothing listens yet.
	if err := errors.Join(os.Chmod(filepath.Join(path, early), 0o600),
		os.Rename(filepath.Join(path, early), filepath.Join(path, file))); err != nil {
		listener.Close()
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go m.answer(connection, looks, done)
		}
	}()
	return func() {
		close(done)
		os.Remove(filepath.Join(path, file))
		listener.Close()
	}, nil
}

// answer serves one connection.
func (m *Machine) answer(c net.Conn, looks chan<- chan<- []byte, done <-chan struct{}) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if json.NewEncoder(c).Encode(m) != nil {
		return
	}
	line := make([]byte, len(request))
	if _, err := io.ReadFull(c, line); err != nil || string(line) != request {
		return
	}
	messages, err := m.ask(looks, done)
	h := head{}
	if err != nil {
		h.Error = err.Error()
	}
	c.SetDeadline(time.Now().Add(patience))
	if json.NewEncoder(c).Encode(h) == nil {
		c.Write(messages)
	}
}

func (m *Machine) ask(looks chan<- chan<- []byte, done <-chan struct{}) ([]byte, error) {
	if m.Silent != "" {
		return nil, errors.New(m.Silent)
	}
	answer := make(chan []byte, 1)
	late := time.After(lookPatience)
	select {
	case looks <- answer:
	case <-done:
		return nil, errors.New("the machine has ended")
	case <-late:
		return nil, errors.New("the machine has not started")
	}
	select {
	case messages := <-answer:
		if messages == nil {
			return nil, errors.New("the machine has ended, or has more to tell than " +
				"there is room for")
		}
		return messages, nil
	case <-done:
		return nil, errors.New("the machine has ended")
	case <-late:
		return nil, fmt.Errorf("the machine did not answer within %v", lookPatience)
	}
}

// List finds the machines of this user that run now, the oldest first. What a command that was
// killed has left is removed.
func List() ([]*Machine, error) {
	path, err := directory()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(path, "*"+suffix))
	if err != nil {
		return nil, err
	}
	var list []*Machine
	for _, file := range files {
		m := &Machine{socket: filepath.Base(file)}
		c, _, err := m.dial()
		if err != nil {
			continue
		}
		c.Close()
		list = append(list, m)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Since.Before(list[j].Since) })
	return list, nil
}

// dial reads what the command knows into m.
func (m *Machine) dial() (net.Conn, *bufio.Reader, error) {
	path, err := directory()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	c, err := net.DialUnix("unix", nil, address(dir, m.socket))
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			os.Remove(filepath.Join(path, m.socket))
		}
		return nil, nil, err
	}
	c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	if err := decodeLine(r, m); err != nil {
		c.Close()
		return nil, nil, err
	}
	return c, r, nil
}

func decodeLine(r *bufio.Reader, to any) error {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, to)
}

// Look asks the machine what its processes are doing. The result is the kernel's messages.
func (m *Machine) Look() (io.Reader, error) {
	c, r, err := m.dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(lookPatience + patience))
	if _, err := io.WriteString(c, request); err != nil {
		return nil, err
	}
	var h head
	if err := decodeLine(r, &h); err != nil {
		return nil, err
	}
	if h.Error != "" {
		return nil, errors.New(h.Error)
	}
	messages, err := io.ReadAll(r)
	return bytes.NewReader(messages), err
}

// Find gives the one machine whose name begins with the text, or whose command has that number.
func Find(list []*Machine, text string) (*Machine, error) {
	var found []*Machine
	for _, m := range list {
		if m.Name == text || fmt.Sprint(m.PID) == text {
			return m, nil
		}
		if strings.HasPrefix(m.Name, text) {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("no machine %s is running; ./capos ps lists those that are",
			text)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, m := range found {
		names = append(names, m.Name)
	}
	return nil, fmt.Errorf("%s may be %s", text, strings.Join(names, " or "))
}
