module capos.dev/tests/race

go 1.26
