// Command quic has a QUIC server and clients in one process, over UDP on the loopback address:
// streams in both directions, datagrams, several connections, a stream that is broken off, and
// HTTP/3.
package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

const patience = 60 * time.Second

var settings = &quic.Config{EnableDatagrams: true, MaxIdleTimeout: patience}

func main() {
	log.SetFlags(0)
	// Only root on Linux gets a receive buffer as large as the library wants.
	check(os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true"))
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	defer cancel()
	server, client := certificates()
	listener, err := quic.ListenAddr("127.0.0.1:0", with(server, "echo"), settings)
	check(err)
	go serve(ctx, listener)
	var all sync.WaitGroup
	sums := make([]string, 3)
	for i := range sums {
		all.Go(func() {
			sums[i] = talk(ctx, listener.Addr().String(), with(client, "echo"), i)
		})
	}
	all.Wait()
	for _, sum := range sums {
		fmt.Println(sum)
	}
	_, err = quic.DialAddr(ctx, listener.Addr().String(), with(client, "other"), settings)
	var failed *quic.TransportError
	fmt.Println("another protocol:", errors.As(err, &failed), failed.Remote)
	check(listener.Close())
	web(server, client)
}

// certificates gives configurations for a server and a client that trusts it.
func certificates() (server, client *tls.Config) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	check(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(
		time.Hour), DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	check(err)
	parsed, err := x509.ParseCertificate(raw)
	check(err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw},
		PrivateKey: private}}}, &tls.Config{RootCAs: roots}
}

func with(config *tls.Config, protocol string) *tls.Config {
	config = config.Clone()
	config.NextProtos = []string{protocol}
	return config
}

// serve sends back what comes.
func serve(ctx context.Context, listener *quic.Listener) {
	for {
		c, err := listener.Accept(ctx)
		if err != nil {
			return
		}
		go func() {
			for {
				data, err := c.ReceiveDatagram(ctx)
				if err != nil {
					return
				}
				c.SendDatagram(data)
			}
		}()
		go func() {
			for {
				stream, err := c.AcceptStream(ctx)
				if err != nil {
					return
				}
				go func() {
					io.Copy(stream, stream)
					stream.Close()
				}()
			}
		}()
	}
}

func talk(ctx context.Context, address string, config *tls.Config, number int) string {
	c, err := quic.DialAddr(ctx, address, config, settings)
	check(err)
	defer c.CloseWithError(0, "")
	data := bytes.Repeat([]byte{byte(number)}, 300<<10)
	sum := sha256.New()
	for range 4 {
		stream, err := c.OpenStreamSync(ctx)
		check(err)
		go func() {
			_, err := stream.Write(data)
			check(err)
			check(stream.Close())
		}()
		n, err := io.Copy(sum, stream)
		check(err)
		if n != int64(len(data)) {
			log.Fatal(n, " bytes came back")
		}
	}
	check(c.SendDatagram([]byte("a datagram")))
	back, err := c.ReceiveDatagram(ctx)
	check(err)
	stream, err := c.OpenStreamSync(ctx)
	check(err)
	stream.CancelWrite(7)
	_, err = stream.Write([]byte("x"))
	return fmt.Sprintf("%x %s, %v", sum.Sum(nil)[:8], back, err)
}

// web is HTTP/3.
func web(server, client *tls.Config) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(err)
	s := &http3.Server{TLSConfig: http3.ConfigureTLSConfig(server), Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprintf(w, "%s %s by %s: %d bytes", r.Method, r.URL.Path, r.Proto,
				len(body))
		})}
	go s.Serve(packets)
	transport := &http3.Transport{TLSClientConfig: client}
	c := http.Client{Transport: transport}
	for _, size := range []int{0, 200 << 10} {
		answer, err := c.Post("https://"+packets.LocalAddr().String()+"/path", "text/plain",
			bytes.NewReader(make([]byte, size)))
		check(err)
		text, err := io.ReadAll(answer.Body)
		check(err)
		fmt.Printf("%s %s\n", answer.Status, text)
	}
	check(transport.Close())
	check(s.Close())
	check(packets.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
