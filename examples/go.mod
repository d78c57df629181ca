module capos.dev/examples

go 1.26
