// Package hostchannel speaks the framed channel between a machine and the program that started it
// (HostMessage in abi/schema/host.capnp): an 8-byte header - type, three zero bytes, length - and a
// payload.
//
// What arrives comes from a guest and is hostile: every length is bounded and every record checked
// before use.
package hostchannel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"

	"capos.dev/tools/internal/abi"
)

// maxPayload bounds what a single message may make this process allocate. The kernel sends far
// less.
const maxPayload = 1 << 20

// HeaderBytes come before each payload.
const HeaderBytes = 8

// Message is one message; Payload is valid until the next Read.
type Message struct {
	Type    uint8
	Payload []byte
}

// Reader takes messages from a byte stream.
type Reader struct {
	r       io.Reader
	payload []byte
}

// NewReader reads from r, which should be buffered.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Read returns the next message. io.EOF means that the stream ended between messages.
func (r *Reader) Read() (Message, error) {
	var header [HeaderBytes]byte
	if _, err := io.ReadFull(r.r, header[:]); err != nil {
		return Message{}, err
	}
	length := binary.LittleEndian.Uint32(header[4:])
	if header[1] != 0 || header[2] != 0 || header[3] != 0 || length > maxPayload {
		return Message{}, fmt.Errorf("the host channel carries no message here (% x)",
			header)
	}
	if uint32(cap(r.payload)) < length {
		r.payload = make([]byte, length)
	}
	r.payload = r.payload[:length]
	if _, err := io.ReadFull(r.r, r.payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Message{}, err
	}
	return Message{header[0], r.payload}, nil
}

// Writer sends messages; it may be used by several goroutines at once.
type Writer struct {
	mu sync.Mutex
	w  io.Writer
}

// NewWriter writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write sends one message in a single write, so that messages of several senders never mix.
func (w *Writer) Write(kind uint8, payload []byte) error {
	message := make([]byte, HeaderBytes, HeaderBytes+len(payload))
	message[0] = kind
	binary.LittleEndian.PutUint32(message[4:], uint32(len(payload)))
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.w.Write(append(message, payload...))
	return err
}

// stdinChunk keeps single messages small: what has been read is sent, whatever the credit is for.
const stdinChunk = 4096

// ForwardStdin sends all of r as credit allows (nil: at once), and then the end of file. So input
// that the machine does not read yet stays on this side, and keys do not wait behind it. It returns
// when r ends or the machine does.
func (w *Writer) ForwardStdin(r io.Reader, credit *Credit) error {
	buffer := make([]byte, stdinChunk)
	for r != nil {
		room := len(buffer)
		if credit != nil {
			if room = credit.Wait(room); room == 0 {
				return io.ErrClosedPipe
			}
		}
		n, err := r.Read(buffer[:room])
		if n > 0 {
			if credit != nil {
				credit.Take(n)
			}
			if err := w.Write(uint8(abi.HostMessageStdin), buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			break
		}
	}
	return w.Write(uint8(abi.HostMessageStdinEnd), nil)
}

// Input is what ForwardStdin sends, for a machine that gets it in memory.
func Input(stdin []byte) []byte {
	var messages bytes.Buffer
	// a buffer takes everything
	NewWriter(&messages).ForwardStdin(bytes.NewReader(stdin), nil)
	return messages.Bytes()
}

// SendCredit lets the machine send so many bytes more of what its window is about.
func (w *Writer) SendCredit(n uint32) error {
	return w.Write(uint8(abi.HostMessageCredit), binary.LittleEndian.AppendUint32(nil, n))
}

// DecodeCredit reads a credit message's payload.
func DecodeCredit(payload []byte) (uint32, error) {
	if len(payload) != 4 {
		return 0, fmt.Errorf("credit message of %d bytes", len(payload))
	}
	return binary.LittleEndian.Uint32(payload), nil
}

// SendKey presses one of the console's keys: interrupt, quit or terminate (a NotificationKind).
func (w *Writer) SendKey(kind uint8) error {
	return w.Write(uint8(abi.HostMessageKey), []byte{kind})
}

// FileWrite is a file message: bytes for one place of one file of the host's.
type FileWrite struct {
	Offset uint64
	Name   string
	Data   []byte
}

// Fault is the report of a fault that ended a program.
type Fault struct {
	abi.FaultRecord
	Frames []uint64 // return addresses, the innermost first
	Stack  []uint64 // words from StackAddress upwards
	Calls  []string // that the thread made last, the oldest first; came in messages before this
}

// DecodeExit reads an exit message's payload.
func DecodeExit(payload []byte) (abi.ExitRecord, error) {
	var record abi.ExitRecord
	n, err := binary.Decode(payload, binary.LittleEndian, &record)
	if err != nil || n != len(payload) {
		return record, fmt.Errorf("exit record of %d bytes", len(payload))
	}
	return record, nil
}

// DecodeFile reads a file message's payload.
func DecodeFile(payload []byte) (FileWrite, error) {
	if len(payload) < 12 {
		return FileWrite{}, fmt.Errorf("file message of %d bytes", len(payload))
	}
	nameSize := binary.LittleEndian.Uint32(payload[8:])
	rest := payload[12:]
	if uint64(nameSize) > uint64(len(rest)) {
		return FileWrite{}, fmt.Errorf("file message with a name of %d bytes in %d",
			nameSize, len(rest))
	}
	if bytes.IndexByte(rest[:nameSize], 0) >= 0 {
		return FileWrite{}, fmt.Errorf("file message with a zero byte in its name")
	}
	return FileWrite{binary.LittleEndian.Uint64(payload), string(rest[:nameSize]),
		rest[nameSize:]}, nil
}

// DecodeLastCall reads the payload of a message about a call that the thread made.
func DecodeLastCall(payload []byte) (thread uint64, call string, err error) {
	if len(payload) < 8 {
		return 0, "", fmt.Errorf("message about a call of %d bytes", len(payload))
	}
	text := strings.TrimRight(string(payload[8:]), "\n")
	return binary.LittleEndian.Uint64(payload), text, nil
}

// DecodeFault reads a fault message's payload: a fixed part and a sample of the stack.
func DecodeFault(payload []byte) (Fault, error) {
	var f Fault
	used, err := binary.Decode(payload, binary.LittleEndian, &f.FaultRecord)
	if err != nil {
		return Fault{}, fmt.Errorf("fault message of %d bytes", len(payload))
	}
	for ; used+8 <= len(payload); used += 8 {
		f.Stack = append(f.Stack, binary.LittleEndian.Uint64(payload[used:]))
	}
	frames := min(int(f.FrameCount), len(f.Stack))
	f.Frames, f.Stack = f.Stack[:frames], f.Stack[frames:]
	return f, nil
}
