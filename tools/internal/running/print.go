package running

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"capos.dev/tools/internal/abi"
)

// PrintList prints a line for each machine.
func PrintList(w io.Writer, list []*Machine, now time.Time) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "MACHINE\tUP\tMEMORY\tCPUS\tPROGRAM")
	for _, m := range list {
		fmt.Fprintf(t, "%s\t%s\t%d MiB\t%d\t%s\n", m.Name,
			now.Sub(m.Since).Round(100*time.Millisecond), m.MemoryMiB, m.CPUs,
			strings.Join(append([]string{m.Program}, m.Arguments...), " "))
	}
	t.Flush()
}

func mebibytes(pages uint64) string {
	return fmt.Sprintf("%.1f", float64(pages)*abi.PageSize/(1<<20))
}

func seconds(ns uint64) string { return fmt.Sprintf("%.3f s", float64(ns)/1e9) }

// Print prints the report: a table of the processes, then what each runs and holds. all: also each
// capability that has no name, and not only how many there are of an interface.
func (r *Report) Print(w io.Writer, name string, all bool) {
	fmt.Fprintf(w, "%s: up %s, %d CPUs, %s of %s MiB free, %d kernel objects\n\n", name,
		seconds(r.NowNs), r.CPUs, mebibytes(r.FreeFrames),
		mebibytes(r.Frames), r.Objects)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "PROCESS\tTHREADS\tCPU\tMEMORY/MiB\tPEAK\tLIMIT\tCAPABILITIES")
	for _, p := range r.Processes {
		limit := "-"
		if p.LimitPages != 0 {
			limit = mebibytes(p.LimitPages)
		}
		fmt.Fprintf(t, "%s%s\t%d\t%s\t%s\t%s\t%s\t%d\n",
			strings.Repeat("  ", p.Depth), p.title(), len(p.Threads),
			seconds(p.CPUTimeNs), mebibytes(p.CommittedPages),
			mebibytes(p.PeakPages), limit, len(p.Capabilities))
	}
	t.Flush()
	servers, callers := r.holders()
	for _, p := range r.Processes {
		fmt.Fprintf(w, "\n%s\n", p.title())
		p.print(w, servers, callers, all)
	}
}

// print prints what runs in a process and what it holds.
func (p *Process) print(w io.Writer, servers, callers map[uint64][]*Process, all bool) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, thread := range p.Threads {
		fmt.Fprintf(t, "  thread %d %s\t%s\tCPU %d, %s\n", thread.ID, thread.Name,
			thread.State, thread.CPU, seconds(thread.CPUTimeNs))
	}
	others := map[string]int{}
	var kinds []string // of them, in order
	for _, c := range p.Capabilities {
		if c.Name == "" && c.Endpoint == 0 && len(callers[c.Object]) == 0 && !all {
			if others[c.Interface]++; others[c.Interface] == 1 {
				kinds = append(kinds, c.Interface)
			}
			continue
		}
		fmt.Fprintf(t, "  %s\t%s%s\n", c.title(), c.Interface,
			c.describe(servers, callers))
	}
	for _, kind := range kinds {
		fmt.Fprintf(t, "  (others)\t%s\t%d\n", kind, others[kind])
	}
	t.Flush()
}

func (p *Process) title() string { return fmt.Sprintf("%d %s", p.ID, p.Name) }

func (c *Capability) title() string {
	if c.Name != "" {
		return c.Name
	}
	return fmt.Sprintf("#%x", c.ID)
}

// describe tells who serves whom, and which capabilities are for the same object.
func (c *Capability) describe(servers, callers map[uint64][]*Process) string {
	switch {
	case c.Endpoint != 0:
		return fmt.Sprintf("\tof endpoint %d, tag %d, served by %s", c.Endpoint, c.Tag,
			titles(servers[c.Endpoint]))
	case c.Interface == abi.InterfaceNames[abi.InterfaceEndpoint]:
		return fmt.Sprintf("\tobject %d, callers: %s", c.Object, titles(callers[c.Object]))
	case c.Object == 0:
		return ""
	case c.Holders > 1:
		return fmt.Sprintf("\tobject %d, %d capabilities for it", c.Object, c.Holders)
	}
	return fmt.Sprintf("\tobject %d", c.Object)
}

func titles(list []*Process) string {
	if len(list) == 0 {
		return "none"
	}
	var names []string
	for _, p := range list {
		names = append(names, p.title())
	}
	return strings.Join(names, ", ")
}
