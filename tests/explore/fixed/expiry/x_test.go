// Whether there is an entry, and the entry, are one answer.
package expiry

import (
	"sync"
	"testing"
	"time"
)

type cache struct {
	mu   sync.Mutex
	at   map[string]time.Time
	data map[string]*int
}

func (c *cache) put(k string, v int, ttl time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at[k], c.data[k] = time.Now().Add(ttl), &v
}

func (c *cache) get(k string) (p *int, has bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().After(c.at[k]) {
		delete(c.data, k)
	}
	p, has = c.data[k]
	return p, has
}

func TestCache(t *testing.T) {
	c := &cache{at: map[string]time.Time{}, data: map[string]*int{}}
	c.put("k", 7, 20*time.Millisecond)
	if p, has := c.get("k"); has && *p != 7 {
		t.Fatal("had it, then got something else")
	}
}
