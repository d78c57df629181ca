module capos.dev/capos

go 1.26
