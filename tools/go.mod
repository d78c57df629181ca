module capos.dev/tools

go 1.26
