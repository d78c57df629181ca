package rewind

import (
	"errors"
	"net"
	"strings"
)

// Serve lets a debugger that has connected work on the machine, until it leaves or the recorded run
// ends.
func (m *Machine) Serve(debugger net.Conn) error {
	defer debugger.Close()
	s := &server{machine: m, debugger: newRemote(debugger), packets: make(chan string)}
	go s.read()
	for packet := range s.packets {
		reply, err := s.answer(packet)
		if errors.Is(err, ErrEnded) {
			s.debugger.send("W00")
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.debugger.send(reply); err != nil {
			return err
		}
		if packet == "k" || packet[0] == 'D' {
			return nil
		}
	}
	return nil
}

// server answers what one debugger asks.
type server struct {
	machine  *Machine
	debugger *remote
	packets  chan string // from the debugger, until it is gone
}

func (s *server) read() {
	defer close(s.packets)
	for {
		packet, err := s.debugger.receive()
		if err != nil {
			return
		}
		if packet != "" {
			s.packets <- packet
		}
	}
}

// reverse is what is told of the machine besides what QEMU says of itself.
const reverse = ";ReverseStep+;ReverseContinue+"

func (s *server) answer(packet string) (reply string, err error) {
	m := s.machine
	name, _, _ := strings.Cut(packet, ";")
	switch {
	case packet == "bs":
		return m.StepBack()
	case packet == "bc":
		return m.ContinueBack()
	case packet == "k", packet[0] == 'D':
		return "OK", nil
	case packet == interrupt: // it stands still
		return m.stub.ask("?")
	case strings.HasPrefix(packet, "qSupported"):
		m.told = append(m.told, packet)
		reply, err = m.stub.ask(packet)
		return strings.ReplaceAll(reply, reverse, "") + reverse, err
	case strings.HasPrefix(packet, "qXfer:features:read:target.xml:0,"):
		m.told = append(m.told, packet)
	case strings.HasPrefix(packet, "Qqemu.sstep"):
		return "OK", nil
	case name == "vCont" || strings.ContainsRune("csCS", rune(packet[0])):
		return s.resume(packet)
	case packet[0] == 'Z' || packet[0] == 'z':
		if reply, err = m.stub.ask(packet); reply == "OK" {
			m.note(packet)
		}
		return reply, err
	}
	return m.stub.ask(packet)
}

// resume lets the machine run until it stops, or the debugger wants it to.
func (s *server) resume(packet string) (string, error) {
	stub := s.machine.stub
	if err := stub.send(packet); err != nil {
		return "", ErrEnded
	}
	type result struct {
		reply string
		err   error
	}
	stopped := make(chan result, 1)
	go func() {
		reply, err := stub.receive()
		stopped <- result{reply, err}
	}()
	for {
		select {
		case r := <-stopped:
			if r.err != nil || strings.HasPrefix(r.reply, "W") {
				return "", ErrEnded
			}
			return r.reply, nil
		case wanted, ok := <-s.packets:
			if !ok || wanted != interrupt {
				return "", ErrEnded
			}
			if err := stub.send(interrupt); err != nil {
				return "", ErrEnded
			}
		}
	}
}
