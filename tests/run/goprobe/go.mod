module capos.dev/tests/goprobe

go 1.26
