package hostchannel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"capos.dev/tools/internal/abi"
)

func TestFramesBothWays(t *testing.T) {
	var wire bytes.Buffer
	w := NewWriter(&wire)
	input := strings.Repeat("0123456789", 1000)
	if err := w.ForwardStdin(strings.NewReader(input), nil); err != nil {
		t.Fatal(err)
	}
	w.SendKey(uint8(abi.NotificationKindInterrupt))
	r := NewReader(&wire)
	var got strings.Builder
	for {
		f, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		if int(f.Type) == abi.HostMessageStdinEnd {
			break
		}
		if int(f.Type) != abi.HostMessageStdin || len(f.Payload) > stdinChunk {
			t.Fatalf("message %d of %d bytes", f.Type, len(f.Payload))
		}
		got.Write(f.Payload)
	}
	if got.String() != input {
		t.Errorf("%d bytes of input arrived changed", got.Len())
	}
	if f, err := r.Read(); err != nil || int(f.Type) != abi.HostMessageKey ||
		!bytes.Equal(f.Payload, []byte{byte(abi.NotificationKindInterrupt)}) {
		t.Errorf("key: %+v, %v", f, err)
	}
	if _, err := r.Read(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestHostileFrames(t *testing.T) {
	for name, c := range map[string]struct {
		wire string
		want error // nil: any error
	}{
		"huge":           {"\x01\x00\x00\x00\xff\xff\xff\xff", nil},
		"garbage":        {"SeaBIOS ", nil},
		"cut in header":  {"\x01\x00\x00", io.ErrUnexpectedEOF},
		"cut in payload": {"\x01\x00\x00\x00\x04\x00\x00\x00ab", io.ErrUnexpectedEOF},
		"no payload":     {"\x01\x00\x00\x00\x04\x00\x00\x00", io.ErrUnexpectedEOF},
	} {
		_, err := NewReader(strings.NewReader(c.wire)).Read()
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRecords(t *testing.T) {
	want := abi.ExitRecord{Program: 3, Kind: 1, Code: -7, Last: 1, FramesBefore: 10,
		FramesAfter: 9, CpuTimeNs: 5}
	wire, err := binary.Append(nil, binary.LittleEndian, &want)
	if err != nil || len(wire) != 64 {
		t.Fatal(err, len(wire))
	}
	if got, err := DecodeExit(wire); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, size := range []int{0, 63, 65} {
		if _, err := DecodeExit(make([]byte, size)); err == nil {
			t.Errorf("exit record of %d bytes accepted", size)
		}
	}
	file := append(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(nil, 4096),
		3), "a/bdata"...)
	if got, err := DecodeFile(file); err != nil || got.Name != "a/b" ||
		string(got.Data) != "data" || got.Offset != 4096 {
		t.Errorf("%+v, %v", got, err)
	}
	file[8] = 200
	for _, bad := range [][]byte{file, file[:11],
		append(binary.LittleEndian.AppendUint32(make([]byte, 8), 1), 0)} {
		if _, err := DecodeFile(bad); err == nil {
			t.Errorf("% x accepted", bad)
		}
	}
	var words []uint64
	const fixed = abi.FaultRecordSize / 8
	for i := range uint64(fixed + 2) { // a return address and a word of the stack follow
		words = append(words, i<<32|i)
	}
	words[9] = 1 // frameCount
	raw, _ := binary.Append(nil, binary.LittleEndian, words)
	f, err := DecodeFault(raw)
	if err != nil || f.Kind != 0 || f.Cpu != 6 || f.Program != 6 {
		t.Errorf("%+v, %v", f, err)
	}
	if f.Address != 1<<32|1 || f.ErrorCode != 7<<32|7 || len(f.Frames) != 1 ||
		f.Frames[0] != fixed<<32|fixed || len(f.Stack) != 1 ||
		f.Stack[0] != (fixed+1)<<32|(fixed+1) {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := DecodeFault(raw[:abi.FaultRecordSize-1]); err == nil {
		t.Error("short fault accepted")
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("\x05\x00\x00\x00\x02\x00\x00\x00ab"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for r := NewReader(bytes.NewReader(data)); ; {
			message, err := r.Read()
			if err != nil {
				return
			}
			DecodeExit(message.Payload)
			DecodeFile(message.Payload)
			DecodeFault(message.Payload)
		}
	})
}
