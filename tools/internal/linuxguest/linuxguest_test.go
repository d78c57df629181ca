package linuxguest

import (
	"bytes"
	"strings"
	"testing"
)

func TestArchive(t *testing.T) {
	var files bytes.Buffer
	a := NewArchive(&files)
	a.Add("init", []byte("#!"))
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	// The layout by hand: header 110, name with its NUL padded to 4, data padded to 4, and
	// again for the trailer.
	data := files.Bytes()
	if want := 110 + 6 + 4 + 110 + 14; len(data) != want {
		t.Errorf("%d bytes, not %d", len(data), want)
	}
	header := string(data[:110])
	// magic, mode, sizes
	for offset, want := range map[int]string{0: "070701", 14: "000081ed", 54: "00000002",
		94: "00000005"} {
		if got := header[offset : offset+len(want)]; got != want {
			t.Errorf("header %q has %q at %d, not %q", header, got, offset, want)
		}
	}
	if string(data[110:118]) != "init\x00\x00#!" || !bytes.Contains(data[120:],
		[]byte("TRAILER!!!\x00")) {
		t.Errorf("%q", data)
	}
}

func TestCommandLine(t *testing.T) {
	want := "panic=-1 reboot=t init_on_alloc=0 clearcpuid=erms,fsrm BENCH_HUGE_PAGES=always " +
		"-- /gobench -parallel mem* --"
	line := CommandLine(Tuned, "/gobench", "-parallel", "mem*")
	if !strings.HasSuffix(line, want) {
		t.Error(line)
	}
}

func TestParseDependency(t *testing.T) {
	text := "Package: linux-image-cloud-amd64\nDepends: kmod, " +
		"linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)\n"
	kernel, err := parseDependency(text)
	if err != nil || kernel.Name != "linux-image-6.1.0-56-cloud-amd64" ||
		kernel.Version != "6.1.192-2" {
		t.Errorf("%+v, %v", kernel, err)
	}
	if _, err := parseDependency("Depends: kmod\n"); err == nil {
		t.Error("no kernel passes")
	}
}
