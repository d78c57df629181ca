package rewind

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// remote is one side of gdb's remote protocol: packets of the form $DATA#SUM, each acknowledged,
// and an interrupt outside of packets.
type remote struct {
	conn io.ReadWriteCloser
	in   *bufio.Reader
}

// interrupt stands for the byte that stops a running machine.
const interrupt = "\x03"

var errSum = errors.New("a packet of gdb's protocol has a wrong sum")

func newRemote(conn io.ReadWriteCloser) *remote { return &remote{conn, bufio.NewReader(conn)} }

func checksum(data string) (sum byte) {
	for i := range len(data) {
		sum += data[i]
	}
	return sum
}

// send sends a packet, or an interrupt. The acknowledgement is skipped by receive.
func (r *remote) send(data string) error {
	if data != interrupt {
		data = fmt.Sprintf("$%s#%02x", data, checksum(data))
	}
	_, err := io.WriteString(r.conn, data)
	return err
}

// receive gives the next packet, as it was sent, or an interrupt.
func (r *remote) receive() (string, error) {
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return "", err
		}
		if c == interrupt[0] {
			return interrupt, nil
		}
		if c != '$' {
			continue // an acknowledgement
		}
		data, err := r.in.ReadString('#')
		if err != nil {
			return "", err
		}
		data = strings.TrimSuffix(data, "#")
		var digits [2]byte
		if _, err := io.ReadFull(r.in, digits[:]); err != nil {
			return "", err
		}
		if sum, err := strconv.ParseUint(string(digits[:]), 16, 8); err != nil ||
			byte(sum) != checksum(data) {
			return "", errSum
		}
		_, err = io.WriteString(r.conn, "+")
		return data, err
	}
}

// ask sends a packet and gives the answer.
func (r *remote) ask(data string) (string, error) {
	if err := r.send(data); err != nil {
		return "", err
	}
	return r.receive()
}
