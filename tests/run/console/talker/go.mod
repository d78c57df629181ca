module capos.dev/tests/run/console/talker

go 1.26
