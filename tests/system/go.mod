module capos.dev/tests/system

go 1.26
