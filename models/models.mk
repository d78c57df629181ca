# The goal itself is named in the Makefile.
models:
	@models/run.sh
