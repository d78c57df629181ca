module capos.dev/tests/run/seedprobe

go 1.26
