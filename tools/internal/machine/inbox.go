package machine

import (
	"bytes"
	"sync"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/hostchannel"
)

const (
	// outputWindow is how many bytes of program output a machine may be ahead of its reader,
	// and outputStep the portion of read bytes in which it is told of them. So QEMU never waits
	// for this process, because a thread of QEMU that waits stops the whole machine, its clock
	// included.
	outputWindow = 1 << 20
	outputStep   = outputWindow / 4

	// inboxMax holds a machine back that does not keep to its window, by no longer reading.
	inboxMax = 8 * outputWindow
)

// item is a message of the channel, or a line of the kernel's log.
type item struct {
	message hostchannel.Message
	isLog   bool
	log     string
}

func (i *item) size() int { return len(i.message.Payload) + len(i.log) }

// inbox holds what has come from the machine until it can be passed on.
type inbox struct {
	mu      sync.Mutex
	change  *sync.Cond
	items   []item
	bytes   int
	taken   int           // messages so far
	closed  bool          // nothing more is put in
	dropped chan struct{} // closed when nothing more is wanted
}

func newInbox() *inbox {
	b := &inbox{dropped: make(chan struct{})}
	b.change = sync.NewCond(&b.mu)
	return b
}

// put keeps a copy.
func (b *inbox) put(i item) {
	i.message.Payload = bytes.Clone(i.message.Payload)
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.bytes >= inboxMax && !b.isDropped() {
		b.change.Wait()
	}
	if b.isDropped() {
		return
	}
	b.items = append(b.items, i)
	b.bytes += i.size()
	b.change.Broadcast()
}

// take waits for an item; false: there will be none.
func (b *inbox) take() (item, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.items) == 0 && !b.closed && !b.isDropped() {
		b.change.Wait()
	}
	if len(b.items) == 0 || b.isDropped() {
		return item{}, false
	}
	i := b.items[0]
	b.items = b.items[1:]
	b.bytes -= i.size()
	b.taken++
	b.change.Broadcast()
	return i, true
}

// close says that nothing more comes.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.change.Broadcast()
}

// drop gives up what is left.
func (b *inbox) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isDropped() {
		close(b.dropped)
	}
	b.items = nil
	b.change.Broadcast()
}

func (b *inbox) isDropped() bool {
	select {
	case <-b.dropped:
		return true
	default:
		return false
	}
}

// progress counts the items taken.
func (b *inbox) progress() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken
}

// isBulk tells the messages that the window is about: HostMessage.credit in the schema.
func isBulk(kind uint8) bool {
	switch int(kind) {
	case abi.HostMessageStdout, abi.HostMessageStderr, abi.HostMessageTrace,
		abi.HostMessageFile, abi.HostMessageFileGone:
		return true
	}
	return false
}
