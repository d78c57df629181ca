// Command otel passes a context on in headers, with baggage and attributes. The module is the
// interface of OpenTelemetry, so the tracer is its own: spans go to a list.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"
)

// tracer numbers spans, so that a run repeats.
type tracer struct {
	embedded.Tracer
	spans []*span
}

type provider struct {
	embedded.TracerProvider
	tracer *tracer
}

type span struct {
	noop.Span
	name    string
	context trace.SpanContext
	parent  trace.SpanContext
	said    []string
}

func (p provider) Tracer(string, ...trace.TracerOption) trace.Tracer { return p.tracer }

func (t *tracer) Start(ctx context.Context, name string,
	options ...trace.SpanStartOption) (context.Context, trace.Span) {
	parent := trace.SpanContextFromContext(ctx)
	id := parent.TraceID()
	if !id.IsValid() {
		id = trace.TraceID{15: 1}
	}
	s := &span{name: name, parent: parent, context: trace.NewSpanContext(
		trace.SpanContextConfig{TraceID: id,
			SpanID:     trace.SpanID{7: byte(len(t.spans) + 1)},
			TraceFlags: trace.FlagsSampled, TraceState: parent.TraceState()})}
	config := trace.NewSpanStartConfig(options...)
	for _, a := range config.Attributes() {
		s.said = append(s.said, string(a.Key)+"="+a.Value.Emit())
	}
	t.spans = append(t.spans, s)
	return trace.ContextWithSpan(ctx, s), s
}

func (s *span) SpanContext() trace.SpanContext { return s.context }
func (s *span) IsRecording() bool              { return true }

func (s *span) SetStatus(code codes.Code, text string) {
	s.said = append(s.said, code.String()+" "+text)
}

func (s *span) SetAttributes(list ...attribute.KeyValue) {
	set := attribute.NewSet(list...)
	s.said = append(s.said, set.Encoded(attribute.DefaultEncoder()))
}

func main() {
	log.SetFlags(0)
	t := new(tracer)
	otel.SetTracerProvider(provider{tracer: t})
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(
		propagation.TraceContext{}, propagation.Baggage{}))
	server := httptest.NewServer(http.HandlerFunc(handle))
	defer server.Close()
	state, err := trace.ParseTraceState("vendor=a1,other=b2")
	check(err)
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(
		trace.SpanContextConfig{TraceID: trace.TraceID{0xab}, SpanID: trace.SpanID{0xcd},
			TraceState: state, Remote: true}))
	member, err := baggage.NewMemberRaw("user", "Ada & Söhne")
	check(err)
	bag, err := baggage.New(member)
	check(err)
	for _, path := range []string{"/good", "/bad"} {
		call(baggage.ContextWithBaggage(ctx, bag), server.URL+path)
	}
	for _, s := range t.spans {
		fmt.Println(s.name, s.context.TraceID(), s.context.SpanID(), "below",
			s.parent.SpanID(), s.parent.IsRemote(), s.context.TraceState(), s.said)
	}
	_, err = baggage.Parse("a=1;b=2,=")
	fmt.Println("wrong baggage:", err)
}

func call(ctx context.Context, url string) {
	ctx, s := otel.Tracer("client").Start(ctx, "call",
		trace.WithAttributes(attribute.Int("attempt", 1)))
	defer s.End()
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	check(err)
	otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(request.Header))
	fmt.Println(request.Header)
	answer, err := http.DefaultClient.Do(request)
	check(err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		s.SetStatus(codes.Error, answer.Status)
	}
}

func handle(w http.ResponseWriter, r *http.Request) {
	ctx := otel.GetTextMapPropagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, s := otel.Tracer("server").Start(ctx, "handle")
	defer s.End()
	s.SetAttributes(attribute.String("path", r.URL.Path), attribute.Bool("ok", true),
		attribute.Float64Slice("list", []float64{1, 2.5}),
		attribute.String("user", baggage.FromContext(ctx).Member("user").Value()))
	if r.URL.Path == "/bad" {
		http.Error(w, "bad", http.StatusTeapot)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
