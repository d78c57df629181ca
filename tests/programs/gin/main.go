// Command gin serves HTTP: routes, groups, middleware, binding with validation, templates, a file
// that is uploaded, and a client over TCP.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"

	"github.com/gin-gonic/gin"
)

type order struct {
	Item   string `json:"item" form:"item" xml:"item" yaml:"item" binding:"required,min=3"`
	Amount int    `json:"amount" form:"amount" xml:"amount" yaml:"amount" binding:"gte=1,lte=9"`
}

func router() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	gin.DefaultErrorWriter = io.Discard
	r := gin.New()
	r.Use(gin.Recovery(), func(c *gin.Context) {
		c.Next()
		c.Writer.Header().Set("X-Late", "not sent")
	})
	r.SetHTMLTemplate(template.Must(template.New("page").Parse("<p>{{.name}}</p>")))
	r.GET("/page/*name", func(c *gin.Context) {
		c.HTML(http.StatusOK, "page", gin.H{"name": c.Param("name")})
	})
	r.GET("/panic", func(*gin.Context) { panic("on purpose") })
	r.GET("/login", func(c *gin.Context) {
		c.SetCookie("who", "ada", 60, "/", "", false, true)
		c.Redirect(http.StatusFound, "/whoami")
	})
	r.GET("/whoami", func(c *gin.Context) {
		who, err := c.Cookie("who")
		c.String(http.StatusOK, "%s %v", who, err)
	})
	api := r.Group("/api", gin.BasicAuth(gin.Accounts{"ada": "secret"}))
	api.POST("/orders", func(c *gin.Context) {
		var o order
		if err := c.ShouldBind(&o); err != nil {
			c.AbortWithStatusJSON(http.StatusBadRequest, gin.H{"error": err.Error()})
			return
		}
		c.Negotiate(http.StatusCreated, gin.Negotiate{Data: o, Offered: []string{
			gin.MIMEJSON, gin.MIMEXML, gin.MIMEYAML}})
	})
	api.POST("/upload", func(c *gin.Context) {
		file, err := c.FormFile("file")
		check(err)
		check(c.SaveUploadedFile(file, "uploaded/"+file.Filename))
		c.String(http.StatusOK, "%s has %d bytes", file.Filename, file.Size)
	})
	return r
}

func main() {
	log.SetFlags(0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	server := &http.Server{Handler: router()}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	url := "http://" + listener.Addr().String()
	jar, err := cookiejar.New(nil)
	check(err)
	http.DefaultClient.Jar = jar
	for _, path := range []string{"/page/a<b", "/page", "/panic", "/nothing", "/login"} {
		show("GET", url+path, "", "", "")
	}
	const json, form = "application/json", "application/x-www-form-urlencoded"
	show("POST", url+"/api/orders", "", json, `{"item":"tea","amount":3}`)
	http.DefaultClient.Transport = authorized{}
	show("POST", url+"/api/orders", json, json, `{"item":"tea","amount":3}`)
	show("POST", url+"/api/orders", "application/xml", form, "item=salt&amount=2")
	show("POST", url+"/api/orders", "application/x-yaml", json, `{"item":"tea","amount":3}`)
	show("POST", url+"/api/orders", json, json, `{"item":"x","amount":30}`)
	show("POST", url+"/api/orders", json, json, `{"item":`)
	upload(url + "/api/upload")
	check(server.Shutdown(context.Background()))
	fmt.Println("ended:", errors.Is(<-ended, http.ErrServerClosed))
}

type authorized struct{}

func (authorized) RoundTrip(request *http.Request) (*http.Response, error) {
	request.SetBasicAuth("ada", "secret")
	return http.DefaultTransport.RoundTrip(request)
}

func show(method, url, accept, kind, body string) {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	check(err)
	request.Header.Set("Content-Type", kind)
	request.Header.Set("Accept", accept)
	answer, err := http.DefaultClient.Do(request)
	check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	check(err)
	fmt.Println(method, request.URL.Path, answer.Status, answer.Header.Get("Content-Type"))
	fmt.Printf("%s\n", text)
}

func upload(url string) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("file", "numbers.txt")
	check(err)
	for i := range 10000 {
		fmt.Fprintln(file, i)
	}
	check(form.Close())
	show("POST", url, "", form.FormDataContentType(), body.String())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
