// Programs without the race detector.

//go:build capos && !race

package runtime

func raceHostInit() {}
