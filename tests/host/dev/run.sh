#!/bin/sh
# Host tests of PCI and virtio on a simulated machine, under ASan and UBSan, and a short run of the
# fuzzer. Prints "ok NAME", "FAIL NAME", "skip NAME" lines.
set -u

root=$(CDPATH= cd -- "$(dirname -- "$0")/../../.." && pwd)
out=$root/build/host/dev
here=tests/host/dev
failed=0
mkdir -p "$out"
cd "$root" || exit 1

make -s schema >&2 || { echo "FAIL dev: the schema does not compile"; exit 1; }

flags="-std=gnu17 -g -O1 -Wall -Wextra -Werror -DCAPOS_HOST_TEST -DCAPOS_DEBUG -I$here/fake -I$here
	-Ikernel -Ikernel/include -Ibuild/gen/include -Itests/host/call"
parts="kernel/dev/pci.c kernel/dev/virtio.c kernel/dev/virtio_pci.c $here/machine.c"

build() {
	name=$1
	shift
	# shellcheck disable=SC2086
	"$@" $flags $parts "$here/$name.c" -o "$out/$name" || { echo "FAIL dev: $name does not build with $1"; exit 1; }
}

build test_dev gcc -fsanitize=address,undefined -fno-sanitize-recover=all
ASAN_OPTIONS=detect_leaks=0 "$out/test_dev" || failed=1

if command -v clang-19 >/dev/null && [ -e "$(clang-19 -print-file-name=libclang_rt.fuzzer-x86_64.a)" ]; then
	build fuzz_dev clang-19 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
	mkdir -p "$out/corpus"
	if "$out/fuzz_dev" -runs=300000 -max_total_time=20 -max_len=6000 -verbosity=0 -artifact_prefix="$out/" \
		"$out/corpus" >"$out/fuzz.log" 2>&1; then
		echo "ok dev fuzz_dev"
	else
		echo "FAIL dev fuzz_dev"
		tail -30 "$out/fuzz.log" >&2
		failed=1
	fi
else
	echo "skip dev fuzz_dev: needs clang-19 and libclang-rt-19-dev"
fi
exit $failed
