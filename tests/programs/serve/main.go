// Command serve starts caddy with a configuration, and asks it what a browser would: files, parts
// of them, compressed and not changed, templates, redirects, a proxy, errors, a password.
package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"golang.org/x/crypto/bcrypt"
)

const site = "http://127.0.0.1:8080"

func main() {
	log.SetFlags(0)
	text, err := os.ReadFile("Caddyfile")
	check(err)
	hash, err := bcrypt.GenerateFromPassword([]byte("hidden"), bcrypt.MinCost)
	check(err)
	load(strings.Replace(string(text), "HASH", string(hash), 1))
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	for _, path := range []string{"/", "/health", "/old", "/list/", "/none", "/secret"} {
		fmt.Println(path, ask(client, path, nil))
	}
	for range 2 {
		fmt.Println(ask(client, "/api/x?y=1", nil))
	}
	files(client)
	fmt.Println(ask(client, "/secret.txt", func(r *http.Request) {
		r.SetBasicAuth("user", "hidden")
	}))
	concurrently(client)
	check(caddy.Stop())
	_, err = client.Get(site)
	fmt.Println("refused at the end:", err != nil)
}

func load(text string) {
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	check(err)
	for _, w := range warnings {
		fmt.Println("warning:", w.Message)
	}
	check(caddy.Load(adapted, true))
}

// ask gives the status, some headers and the text of an answer.
func ask(client *http.Client, path string, change func(*http.Request)) string {
	r, err := http.NewRequest("GET", site+path, nil)
	check(err)
	if change != nil {
		change(r)
	}
	answer, err := client.Do(r)
	check(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	check(err)
	text := answer.Status
	for _, name := range []string{"Server", "Content-Type", "Content-Range", "Cache-Control",
		"Location", "Www-Authenticate"} {
		if value := answer.Header.Get(name); value != "" {
			text += fmt.Sprintf(", %s: %s", name, value)
		}
	}
	return fmt.Sprintf("%s\n%.70q", text, body)
}

// files asks for parts of a file, for one that is compressed on the way, and for one that has not
// changed.
func files(client *http.Client) {
	fmt.Println(ask(client, "/style.css", nil))
	fmt.Println(ask(client, "/long.txt", func(r *http.Request) {
		r.Header.Set("Range", "bytes=100-120")
	}))
	r, err := http.NewRequest("GET", site+"/long.txt", nil)
	check(err)
	r.Header.Set("Accept-Encoding", "gzip")
	answer, err := client.Do(r)
	check(err)
	defer answer.Body.Close()
	whole, err := gzip.NewReader(answer.Body)
	check(err)
	n, err := io.Copy(io.Discard, whole)
	check(err)
	fmt.Println(answer.Header.Get("Content-Encoding"), n, "bytes")
	tag := answer.Header.Get("Etag")
	fmt.Println(ask(client, "/long.txt", func(r *http.Request) {
		r.Header.Set("Accept-Encoding", "gzip")
		r.Header.Set("If-None-Match", tag)
	}))
}

// concurrently has many requests outstanding at once.
func concurrently(client *http.Client) {
	answers := make(chan string)
	for i := range 40 {
		go func() { answers <- ask(client, fmt.Sprint("/api/", i%4), nil) }()
	}
	counts := map[string]int{}
	for range 40 {
		answer := <-answers
		answer = strings.ReplaceAll(answer, "9001", "9000") // whose turn it is
		counts[answer]++
	}
	var lines []string
	for answer, n := range counts {
		lines = append(lines, fmt.Sprint(n, " times ", answer))
	}
	slices.Sort(lines)
	fmt.Println(strings.Join(lines, "\n"))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
