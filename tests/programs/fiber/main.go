// Command fiber serves HTTP by fasthttp: routes, groups, middleware, JSON, a stream, compression,
// and a client over TCP.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/compress"
	"github.com/gofiber/fiber/v2/middleware/etag"
	"github.com/gofiber/fiber/v2/middleware/limiter"
	"github.com/gofiber/fiber/v2/middleware/recover"
)

type order struct {
	Item   string `json:"item" form:"item" query:"item"`
	Amount int    `json:"amount" form:"amount" query:"amount"`
}

func main() {
	log.SetFlags(0)
	app := fiber.New(fiber.Config{DisableStartupMessage: true, BodyLimit: 1 << 20})
	app.Use(recover.New(), compress.New(), etag.New())
	app.Get("/hello/:name?", func(c *fiber.Ctx) error {
		return c.SendString("hello, " + c.Params("name", "all"))
	})
	app.Get("/panic", func(*fiber.Ctx) error { panic("on purpose") })
	api := app.Group("/api", limiter.New(limiter.Config{Max: 3}))
	api.Post("/orders/:id<int>", func(c *fiber.Ctx) error {
		var o order
		if err := c.BodyParser(&o); err != nil {
			return fiber.NewError(fiber.StatusUnprocessableEntity, err.Error())
		}
		return c.Status(fiber.StatusCreated).JSON(fiber.Map{"id": c.Params("id"), "got": o})
	})
	app.Get("/stream", func(c *fiber.Ctx) error {
		c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
			for i := range 5 {
				fmt.Fprintf(w, "part %d\n", i)
				w.Flush()
			}
		})
		return nil
	})
	app.Get("/large", func(c *fiber.Ctx) error {
		return c.SendString(strings.Repeat("a long line\n", 5000))
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(listener) }()
	url := "http://" + listener.Addr().String()
	show("GET", url+"/hello/ada", "", "")
	show("GET", url+"/hello", "", "")
	show("GET", url+"/nothing", "", "")
	show("GET", url+"/panic", "", "")
	show("DELETE", url+"/hello/ada", "", "")
	show("POST", url+"/api/orders/7", fiber.MIMEApplicationJSON, `{"item":"tea","amount":3}`)
	show("POST", url+"/api/orders/8", fiber.MIMEApplicationForm, "item=salt&amount=1")
	show("POST", url+"/api/orders/9", fiber.MIMEApplicationJSON, `{"item":`)
	show("POST", url+"/api/orders/9", fiber.MIMEApplicationJSON, `{}`)
	show("GET", url+"/stream", "", "")
	show("GET", url+"/large", "", "")
	check(app.Shutdown())
	fmt.Println("ended:", <-ended)
}

func show(method, url, kind, body string) {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	check(err)
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	answer, err := http.DefaultClient.Do(request)
	check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	check(err)
	fmt.Println(method, request.URL.Path, answer.Status, answer.Header.Get("Content-Type"),
		answer.Header.Get("ETag"), answer.Header.Get("X-Ratelimit-Remaining"), len(text))
	fmt.Printf("%.60s\n", text)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
