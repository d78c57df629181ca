module capos.dev/tests/linux

go 1.26
