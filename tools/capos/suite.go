package main

func testCommand(args []string) int { return 0 }
