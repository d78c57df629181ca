// Command etcd runs an etcd server and its client in one process: keys with revisions, ranges,
// transactions, a lease that runs out, watches, an election, compaction, and a second start.
package main

import (
	"context"
	"fmt"
	"log"
	"net/url"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
)

const patience = time.Minute

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	server := start()
	byNetwork, err := clientv3.New(clientv3.Config{Endpoints: []string{
		server.Clients[0].Addr().String()}, DialTimeout: patience, Logger: zap.NewNop()})
	check(err)
	keys(ctx, byNetwork)
	transactions(ctx, byNetwork)
	watch(ctx, byNetwork)
	lease(ctx, byNetwork)
	elect(ctx, byNetwork)
	check(byNetwork.Close())
	server.Close()
	server = start()
	inside := v3client.New(server.Server)
	defer server.Close()
	defer inside.Close()
	again(ctx, inside)
}

// start waits until the server serves, on a port that is free.
func start() *embed.Etcd {
	config := embed.NewConfig()
	config.Dir = "store"
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.TickMs, config.ElectionMs = 20, 200
	any, err := url.Parse("http://127.0.0.1:0")
	check(err)
	config.ListenClientUrls, config.ListenPeerUrls = []url.URL{*any}, []url.URL{*any}
	server, err := embed.StartEtcd(config)
	check(err)
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(patience):
		log.Fatal("the server is not ready")
	}
	return server
}

func keys(ctx context.Context, c *clientv3.Client) {
	for i := range 50 {
		_, err := c.Put(ctx, fmt.Sprintf("key/%02d", i), fmt.Sprint("value ", i*i))
		check(err)
	}
	_, err := c.Put(ctx, "key/07", "another")
	check(err)
	got, err := c.Get(ctx, "key/07")
	check(err)
	kv := got.Kvs[0]
	old, err := c.Get(ctx, "key/07", clientv3.WithRev(kv.ModRevision-1))
	check(err)
	fmt.Printf("%s = %s, version %d, before %s\n", kv.Key, kv.Value, kv.Version,
		old.Kvs[0].Value)
	some, err := c.Get(ctx, "key/1", clientv3.WithPrefix(), clientv3.WithLimit(3),
		clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend))
	check(err)
	for _, kv := range some.Kvs {
		fmt.Printf("%s = %s\n", kv.Key, kv.Value)
	}
	fmt.Println("more:", some.More, "of", some.Count)
	gone, err := c.Delete(ctx, "key/3", clientv3.WithPrefix())
	check(err)
	_, err = c.Compact(ctx, got.Header.Revision)
	check(err)
	_, err = c.Get(ctx, "key/07", clientv3.WithRev(2))
	fmt.Println(gone.Deleted, "deleted, then:", err)
}

// transactions count up from several goroutines, each of which tries until nobody was faster.
func transactions(ctx context.Context, c *clientv3.Client) {
	done := make(chan error)
	for range 4 {
		go func() {
			for range 10 {
				_, err := concurrency.NewSTM(c, func(stm concurrency.STM) error {
					n := 0
					fmt.Sscan(stm.Get("counter"), &n)
					stm.Put("counter", fmt.Sprint(n+1))
					return nil
				}, concurrency.WithAbortContext(ctx))
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 4 {
		check(<-done)
	}
	is := clientv3.Compare(clientv3.Value("counter"), "=", "40")
	for range 2 {
		got, err := c.Txn(ctx).If(is).Then(clientv3.OpPut("counter", "done")).
			Else(clientv3.OpGet("counter")).Commit()
		check(err)
		fmt.Println("counted to 40:", got.Succeeded)
	}
}

func watch(ctx context.Context, c *clientv3.Client) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := c.Watch(ctx, "seen/", clientv3.WithPrefix(), clientv3.WithPrevKV(),
		clientv3.WithCreatedNotify())
	<-events
	for _, name := range []string{"a", "b", "a"} {
		_, err := c.Put(ctx, "seen/"+name, "value of "+name)
		check(err)
	}
	_, err := c.Delete(ctx, "seen/b")
	check(err)
	for n := 0; n < 4; {
		got := <-events
		check(got.Err())
		for _, e := range got.Events {
			n++
			fmt.Printf("%s %s %q, before: %t\n", e.Type, e.Kv.Key, e.Kv.Value,
				e.PrevKv != nil)
		}
	}
}

func lease(ctx context.Context, c *clientv3.Client) {
	granted, err := c.Grant(ctx, 1)
	check(err)
	_, err = c.Put(ctx, "short", "lived", clientv3.WithLease(granted.ID))
	check(err)
	events := c.Watch(ctx, "short", clientv3.WithRev(granted.Revision+1))
	for got := range events {
		check(got.Err())
		last := got.Events[len(got.Events)-1]
		fmt.Println("lease:", last.Type)
		if last.Type == clientv3.EventTypeDelete {
			break
		}
	}
	_, err = c.KeepAliveOnce(ctx, granted.ID)
	fmt.Println("kept alive:", err)
}

func elect(ctx context.Context, c *clientv3.Client) {
	one, err := concurrency.NewSession(c)
	check(err)
	two, err := concurrency.NewSession(c)
	check(err)
	first := concurrency.NewElection(one, "/chair")
	second := concurrency.NewElection(two, "/chair")
	check(first.Campaign(ctx, "one"))
	won := make(chan error)
	go func() { won <- second.Campaign(ctx, "two") }()
	leader, err := first.Leader(ctx)
	check(err)
	fmt.Printf("leader %s\n", leader.Kvs[0].Value)
	check(first.Resign(ctx))
	check(<-won)
	leader, err = first.Leader(ctx)
	check(err)
	fmt.Printf("leader %s\n", leader.Kvs[0].Value)
	check(one.Close())
	check(two.Close())
}

// again finds what was there before.
func again(ctx context.Context, c *clientv3.Client) {
	all, err := c.Get(ctx, "", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	check(err)
	counter, err := c.Get(ctx, "counter")
	check(err)
	fmt.Printf("%d keys, counter %s, version %d\n", all.Count, counter.Kvs[0].Value,
		counter.Kvs[0].Version)
	members, err := c.MemberList(ctx)
	check(err)
	fmt.Println(len(members.Members), "member", members.Members[0].Name)
	_, err = os.Stat("store/member/wal")
	check(err)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
