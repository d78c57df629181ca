module capos.dev/bench

go 1.26
