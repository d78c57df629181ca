package main

import (
	"slices"
	"testing"
)

func TestTestsAreLeftOut(t *testing.T) {
	without := withoutToo("", "TestA")
	without = withoutToo(without, "TestB/some_part (2)")
	if want := `^TestA$|^TestB$/^some_part \(2\)$`; without != want {
		t.Fatalf("got %s, want %s", without, want)
	}
	for _, test := range []struct{ flags, args, words []string }{
		{[]string{"-v"}, []string{skipFlag + "X", "-test.v"},
			[]string{".", "-v", "-skip", "X"}},
		{[]string{"-skip", "B", "-v", "-args", "-v"},
			[]string{skipFlag + "B|X", "-test.v", "-v"},
			[]string{".", "-skip", "B", "-v", "-skip", "B|X", "-args", "-v"}},
	} {
		_, args := testArguments(test.flags)
		own := &target{args: args, words: append([]string{"."}, test.flags...)}
		if got := own.arguments("X"); !slices.Equal(got, test.args) {
			t.Errorf("%q runs with %q, want %q", test.flags, got, test.args)
		}
		if got := own.wordsWithout("X"); !slices.Equal(got, test.words) {
			t.Errorf("%q becomes %q, want %q", test.flags, got, test.words)
		}
		// What is replayed leaves out the same.
		_, again := testArguments(test.words[1:])
		if !slices.Contains(again, test.args[0]) {
			t.Errorf("%q runs with %q, want %q", test.words, again, test.args[0])
		}
	}
}
