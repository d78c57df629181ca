module capos.dev/tests/faults

go 1.26

require capos.dev/capos v0.0.0

replace capos.dev/capos => ../../../go/capos
