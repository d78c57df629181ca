package rewind

import (
	"encoding/json"
	"fmt"
	"net"
)

// monitor speaks QEMU's machine protocol: one JSON object for each command, answer and event.
type monitor struct {
	conn    net.Conn
	decoder *json.Decoder
	stopped bool // an event said so since the last command
}

type answer struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Desc string `json:"desc"`
	} `json:"error"`
	Event string `json:"event"`
}

func newMonitor(conn net.Conn) (*monitor, error) {
	m := &monitor{conn: conn, decoder: json.NewDecoder(conn)}
	var greeting json.RawMessage
	if err := m.decoder.Decode(&greeting); err != nil {
		return nil, err
	}
	return m, m.do("qmp_capabilities", nil, nil)
}

// do gives a command with its arguments, and decodes what it returns. Both may be nil.
func (m *monitor) do(command string, arguments, result any) error {
	m.stopped = false
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(m.conn).Encode(request); err != nil {
		return err
	}
	for {
		var a answer
		if err := m.decoder.Decode(&a); err != nil {
			return err
		}
		switch {
		case a.Error != nil:
			return fmt.Errorf("QEMU: %s: %s", command, a.Error.Desc)
		case a.Event != "":
			m.stopped = m.stopped || a.Event == "STOP"
		case result != nil:
			return json.Unmarshal(a.Return, result)
		default:
			return nil
		}
	}
}

// waitForStop returns when the machine has stopped.
func (m *monitor) waitForStop() error {
	for !m.stopped {
		var a answer
		if err := m.decoder.Decode(&a); err != nil {
			return err
		}
		m.stopped = a.Event == "STOP"
	}
	return nil
}
