// The entry can expire between has and get: seen only when time passes in a gap of a few
// instructions.
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

func (c *cache) has(k string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Before(c.at[k])
}

func (c *cache) get(k string) *int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().After(c.at[k]) {
		delete(c.data, k)
	}
	return c.data[k]
}

func TestCache(t *testing.T) {
	c := &cache{at: map[string]time.Time{}, data: map[string]*int{}}
	c.put("k", 7, 20*time.Millisecond)
	if c.has("k") {
		if p := c.get("k"); p == nil || *p != 7 {
			t.Fatal("had it, then got nothing")
		}
	}
}
