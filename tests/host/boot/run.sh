#!/bin/sh
# Host tests of what the kernel reads before and beside its own: the loaders' boot information,
# typed lines, the screen, under ASan and UBSan, and a short run of the fuzzer. Prints "ok NAME",
# "FAIL NAME", "skip NAME" lines.
set -u

root=$(CDPATH= cd -- "$(dirname -- "$0")/../../.." && pwd)
out=$root/build/host/boot
here=tests/host/boot
failed=0
mkdir -p "$out"
cd "$root" || exit 1

make -s schema >&2 || { echo "FAIL boot: the schema does not compile"; exit 1; }

flags="-std=gnu17 -g -O1 -fno-builtin-strlen -Wall -Wextra -Werror -DCAPOS_HOST_TEST
	-Ikernel -Ikernel/include -Ibuild/gen/include -Ibuild/gen -Ibuild/gen/kernel -I$here -Itests/host/call"
parts="kernel/core/boot_info.c kernel/machine/multiboot.c kernel/machine/pvh.c
	kernel/dev/screen.c kernel/dev/line_input.c"

build() {
	name=$1
	shift
	# shellcheck disable=SC2086
	"$@" $flags $parts $here/memory.c "$here/$name.c" -o "$out/$name" || { echo "FAIL boot: $name does not build with $1"; exit 1; }
}

build test_boot gcc -fsanitize=address,undefined -fno-sanitize-recover=all
ASAN_OPTIONS=detect_leaks=0 "$out/test_boot" || failed=1

if command -v clang-19 >/dev/null && [ -e "$(clang-19 -print-file-name=libclang_rt.fuzzer-x86_64.a)" ]; then
	build fuzz_boot clang-19 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
	mkdir -p "$out/corpus"
	if "$out/fuzz_boot" -runs=300000 -max_total_time=20 -max_len=4096 -verbosity=0 -artifact_prefix="$out/" \
		"$out/corpus" >"$out/fuzz.log" 2>&1; then
		echo "ok boot fuzz_boot"
	else
		echo "FAIL boot fuzz_boot"
		tail -30 "$out/fuzz.log" >&2
		failed=1
	fi
else
	echo "skip boot fuzz_boot: needs clang-19 and libclang-rt-19-dev"
fi
exit $failed
