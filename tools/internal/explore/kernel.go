package explore

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// What the kernel chooses, by the letters of kernel/proc/explore.c: at a call, at the beginning and
// the end of a slice, among threads that wait, when a timer is set, at an atomic operation, and
// where a thread asks whether a fault happens.
const (
	kernelKinds = "csiptrf"

	kernelCall  = "c"
	kernelSlice = "s"
	kernelTurn  = "i"
	kernelPick  = "p"
	kernelTimer = "t"
	kernelRace  = "r"
	kernelFault = "f"
)

// ofCPU is added to the number of a CPU, where a choice is of that and not of a thread.
const ofCPU = 1 << 31

// canPause tells whether the disturbance may be a pause of any length. A slice's length and the
// numbers of a thread, a case and a fault are none, and the end of a CPU's turn has no length.
func (d *Disturbance) canPause() bool {
	return d.Kernel != kernelSlice && d.Kernel != kernelPick && d.Kernel != kernelRace &&
		d.Kernel != kernelFault && d.What < takesCase
}

// kernelText says what the kernel did and where the thread was.
func (d *Disturbance) kernelText(p place) string {
	if d.Kernel == kernelRace {
		who := fmt.Sprintf("thread %d", d.Goroutine)
		if d.Goroutine >= ofCPU {
			who = fmt.Sprintf("CPU %d", d.Goroutine-ofCPU)
		}
		return fmt.Sprintf("%s let the other CPUs go first in %v", who, p)
	}
	text := fmt.Sprintf("thread %d", d.Goroutine)
	long := time.Duration(d.What)
	switch {
	case d.Kernel == kernelSlice:
		text += fmt.Sprintf(" was stopped after %v", long)
	case d.Kernel == kernelPick:
		text += " was passed over"
	case d.Kernel == kernelFault:
		text += fmt.Sprintf(" had fault %d", d.What)
	case d.Kernel == kernelTimer:
		text += fmt.Sprintf(" has a timer that is %v late", long)
	case d.What == stepBack:
		text += " stepped back"
	case d.Kernel == kernelTurn:
		text += fmt.Sprintf(" was stopped and paused for %v", long)
	default:
		text += fmt.Sprintf(" paused for %v", long)
	}
	if where := p.String(); where != "" {
		text += " at " + where
	}
	return text
}

var kernelPoints = regexp.MustCompile(`(?m)^capos explore: kernel points (\d+)$`)

// KernelPoints is how many points the kernel has counted.
func (r *Run) KernelPoints() uint64 {
	m := kernelPoints.FindStringSubmatch(r.Output)
	if m == nil {
		return 0
	}
	points, _ := strconv.ParseUint(m[1], 10, 64)
	return points
}

// at turns an address, in hexadecimal digits, into a place: "FUNCTION FILE:LINE", or "". Of a
// return address the call counts.
func (s Source) at(address string, returns bool) string {
	pc, err := strconv.ParseUint(address, 16, 64)
	if err != nil || s.Places == nil {
		return ""
	}
	if returns {
		pc--
	}
	name, file, line := s.Places(pc)
	if name == "" || file == "" {
		return ""
	}
	return fmt.Sprintf("%s %s:%d", name, file, line)
}

const (
	stuckText = "every thread waits, and none of them can wake another"
	lateText  = "not at its end after " + VirtualLimit + " of virtual time"

	// VirtualLimit is after how much virtual time a C program is ended.
	VirtualLimit        = "10m0s"
	VirtualLimitSeconds = 600
)

// threads are where the threads of a program were, as the kernel tells.
func threads(text string, source Source) (stacks []Stack) {
	var places []string
	finish := func() {
		if len(stacks) == 0 || len(places) == 0 {
			return
		}
		s := &stacks[len(stacks)-1]
		for _, at := range places {
			name, file := cutPlace(at)
			if source.isLibrary(file) {
				if len(s.Frames) == 0 {
					s.State = name
				}
				continue
			}
			s.Frames = append(s.Frames, name+" "+base(file))
		}
		places = nil
	}
	_, told, _ := strings.Cut(text, saidByRuntime+"thread ")
	for line := range strings.Lines("thread " + told) {
		word, rest, _ := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(line, "\n"),
			saidByRuntime), " ")
		switch word {
		case "thread":
			finish()
			number, _ := strconv.Atoi(rest)
			stacks = append(stacks, Stack{Goroutine: number, Thread: true})
		case "place":
			if at := source.at(rest, len(places) > 0); at != "" {
				places = append(places, at)
			}
		default:
			finish()
			return stacks
		}
	}
	finish()
	return stacks
}

// ended judges a program that the kernel has ended; nil when it has not.
func (r *Run) ended(source Source) *Failure {
	if _, told, found := strings.Cut(r.Output, saidByRuntime+"stuck\n"); found {
		return &Failure{Kind: KindDeadlock, Text: stuckText, Stacks: threads(told, source)}
	}
	if _, told, found := strings.Cut(r.Output, saidByRuntime+"too long\n"); found {
		return &Failure{Kind: KindTimeout, Text: lateText, Stacks: threads(told, source)}
	}
	return nil
}

// lastWords is the last line that a program itself has printed.
func (r *Run) lastWords() (last string) {
	for line := range strings.Lines(r.Output) {
		if line = strings.TrimSpace(line); line != "" &&
			!strings.HasPrefix(line, saidByRuntime) {
			last = line
		}
	}
	return last
}
