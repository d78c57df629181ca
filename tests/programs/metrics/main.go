// Command metrics counts and measures, and serves what it has by HTTP, with the standard metrics of
// the Go runtime and of the process.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func main() {
	log.SetFlags(0)
	registry := prometheus.NewPedanticRegistry()
	factory := promauto.With(registry)
	requests := factory.NewCounterVec(prometheus.CounterOpts{Name: "requests_total",
		Help: "Requests by code and method."}, []string{"code", "method"})
	sizes := factory.NewHistogram(prometheus.HistogramOpts{Name: "size_bytes",
		Help: "Sizes.", Buckets: prometheus.ExponentialBuckets(1, 4, 6)})
	delays := factory.NewSummary(prometheus.SummaryOpts{Name: "delay_seconds", Help: "Delays.",
		Objectives: map[float64]float64{0.5: 0.01, 0.99: 0.001}})
	factory.NewGaugeFunc(prometheus.GaugeOpts{Name: "answer", Help: "The answer."},
		func() float64 { return 42 })
	for i := range 1000 {
		requests.WithLabelValues([]string{"200", "404"}[i%7/6], "get").Inc()
		sizes.Observe(float64(i))
		delays.Observe(float64(i%100) / 100)
	}
	err := registry.Register(prometheus.NewCounter(prometheus.CounterOpts{Name: "answer"}))
	fmt.Println("a second one of that name:", err)
	problems, err := testutil.GatherAndLint(registry)
	check(err)
	fmt.Println(len(problems), "problems;", testutil.ToFloat64(requests.WithLabelValues("404",
		"get")), "not found")
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true, ErrorHandling: promhttp.HTTPErrorOnError}))
	fmt.Print(get(server.URL, "text/plain"))
	fmt.Print(get(server.URL, "application/openmetrics-text"))
	server.Close()
	standard()
}

// standard has the metrics that the library makes of the process: their names, because their values
// differ from run to run. Those of network devices are left out.
func standard() {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	families, err := registry.Gather()
	check(err)
	for _, f := range families {
		name := f.GetName()
		if strings.HasPrefix(name, "process_") && !strings.Contains(name, "network") ||
			strings.HasPrefix(name, "go_memstats_heap") {
			fmt.Println(name, f.GetType())
		}
	}
}

func get(url, accept string) string {
	request, err := http.NewRequest("GET", url, nil)
	check(err)
	request.Header.Set("Accept", accept)
	answer, err := http.DefaultClient.Do(request)
	check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	check(err)
	return answer.Header.Get("Content-Type") + "\n" + string(text)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
