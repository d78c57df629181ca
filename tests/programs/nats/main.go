// Command nats runs a NATS server and its Go client in one process, over TCP on the loopback
// address, over a connection inside the process, and with JetStream's files.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const patience = 30 * time.Second

func main() {
	log.SetFlags(0)
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT,
		JetStream: true, StoreDir: "store", NoSigs: true, NoLog: true,
		JetStreamMaxMemory: 1 << 20, JetStreamMaxStore: 8 << 20})
	check(err)
	s.Start()
	if !s.ReadyForConnections(patience) {
		log.Fatal("the server is not ready")
	}
	defer s.WaitForShutdown()
	defer s.Shutdown()
	for _, option := range []nats.Option{nats.Name("by TCP"), nats.InProcessServer(s)} {
		c, err := nats.Connect(s.ClientURL(), option, nats.Timeout(patience))
		check(err)
		publish(c)
		request(c)
		c.Close()
	}
	c, err := nats.Connect(s.ClientURL())
	check(err)
	defer c.Close()
	stream(c)
	_, err = c.Request("nobody", nil, patience)
	fmt.Println("without a responder:", err, errors.Is(err, nats.ErrNoResponders))
}

// publish has three subscribers, two of them by wildcards.
func publish(c *nats.Conn) {
	var subs []*nats.Subscription
	var mu sync.Mutex
	var got []string
	var all sync.WaitGroup
	for _, subject := range []string{"a.b.c", "a.*.c", "a.>"} {
		sub, err := c.Subscribe(subject, func(m *nats.Msg) {
			mu.Lock()
			got = append(got, fmt.Sprintf("%s by %s: %s", m.Subject, subject, m.Data))
			mu.Unlock()
			all.Done()
		})
		check(err)
		subs = append(subs, sub)
	}
	all.Add(3 + 2 + 1)
	for i, subject := range []string{"a.b.c", "a.x.c", "a.b"} {
		check(c.Publish(subject, fmt.Append(nil, "message ", i)))
	}
	all.Wait()
	unsubscribe(c, subs)
	slices.Sort(got)
	for _, line := range got {
		fmt.Println(line)
	}
}

// unsubscribe ends subscriptions, in the server too.
func unsubscribe(c *nats.Conn, subs []*nats.Subscription) {
	for _, sub := range subs {
		check(sub.Unsubscribe())
	}
	check(c.FlushTimeout(patience))
}

// request spreads 1 000 requests over a group of four.
func request(c *nats.Conn) {
	var subs []*nats.Subscription
	for range 4 {
		sub, err := c.QueueSubscribe("double", "group", func(m *nats.Msg) {
			check(m.Respond(slices.Concat(m.Data, m.Data)))
		})
		check(err)
		subs = append(subs, sub)
	}
	length := 0
	for i := range 1000 {
		m, err := c.Request("double", fmt.Append(nil, i), patience)
		check(err)
		length += len(m.Data)
	}
	unsubscribe(c, subs)
	fmt.Println("1000 answers of together", length, "bytes")
}

// stream keeps messages in files and reads them twice.
func stream(c *nats.Conn) {
	js, err := c.JetStream(nats.MaxWait(patience))
	check(err)
	_, err = js.AddStream(&nats.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.*"}})
	check(err)
	for i := range 200 {
		_, err := js.Publish(fmt.Sprintf("orders.%d", i%3), fmt.Append(nil, "order ", i))
		check(err)
	}
	for _, subject := range []string{"orders.1", "orders.*"} {
		sub, err := js.SubscribeSync(subject, nats.OrderedConsumer())
		check(err)
		n, last := 0, ""
		for {
			m, err := sub.NextMsg(patience)
			check(err)
			n, last = n+1, string(m.Data)
			if meta, err := m.Metadata(); err != nil || meta.NumPending == 0 {
				break
			}
		}
		fmt.Println(subject, n, "messages, the last is", last)
		check(sub.Unsubscribe())
	}
	info, err := js.StreamInfo("ORDERS")
	check(err)
	fmt.Println(info.State.Msgs, "messages,", info.State.Bytes, "bytes")
	entries, err := os.ReadDir("store/jetstream")
	check(err)
	fmt.Println(len(entries), "account")
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
