// Where assertions of a program go in an explore build.

//go:build capos

package os

// exploreAssertions is the name of a file that ./capos explore gives a program for what it asserts:
// one line of JSON each, among what the program prints.
const exploreAssertions = "/dev/capos-explore"
