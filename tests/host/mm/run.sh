#!/bin/sh
# Host tests of the kernel's memory part: the kernel's own files, built with sanitizers, on a
# simulated machine.
#
#	tests/host/mm/run.sh [SEED]
#
# Prints `ok NAME`, `FAIL NAME: why` or `skip NAME: why` a line; exits non-zero after a failure.
# FUZZ_SECONDS (default 5) bounds the fuzzer.

root=$(cd "$(dirname "$0")/../../.." && pwd)
here=$root/tests/host/mm
out=$root/build/tests/host/mm
seed=${1:-1}
failed=0
mkdir -p "$out"

includes="-I$root/kernel -I$root/kernel/include -I$root/build/gen/include -I$root/build/gen -I$here"
warnings="-Wall -Wextra -Werror"
defines="-DCAPOS_HOST_TEST -DCAPOS_DEBUG"
# These are what host.c puts its own in front of.
renames_frame="-Dframe_alloc=frame_alloc_real -Dframe_free=frame_free_real -Dframes_promise=frames_promise_real"
renames_kmem="-Dkmem_alloc=kmem_alloc_real"

# build COMPILER FLAGS OUTPUT SOURCE...: the kernel's part and the named test sources.
build()
{
	compiler=$1 flags=$2 output=$3
	shift 3
	objects=
	for source in core/rbtree.c core/object.c mm/frame.c mm/kmem.c mm/ledger.c mm/region.c mm/aspace.c mm/populate.c \
		arch/x86_64/paging.c mm/memory_object.c; do
		renames=
		case $source in
		mm/frame.c) renames=$renames_frame ;;
		mm/kmem.c) renames=$renames_kmem ;;
		esac
		object=$output.$(basename "$source" .c).o
		$compiler -std=gnu17 -O1 -g $flags $warnings $defines $renames $includes -c "$root/kernel/$source" -o "$object" || return 1
		objects="$objects $object"
	done
	for source in host.c "$@"; do
		object=$output.$(basename "$source" .c).o
		$compiler -std=gnu17 -O1 -g $flags $warnings $defines $includes -c "$here/$source" -o "$object" || return 1
		objects="$objects $object"
	done
	$compiler $flags $objects -o "$output"
}

# run NAME COMMAND...: a test program prints its own lines; one that dies without a FAIL line gets
# one.
run()
{
	name=$1
	shift
	if "$@" >"$out/$name.log" 2>&1; then
		grep -E '^(ok|skip) ' "$out/$name.log"
		return
	fi
	failed=1
	grep -E '^(ok|FAIL) ' "$out/$name.log"
	grep -q '^FAIL ' "$out/$name.log" && return
	echo "FAIL mm-$name: $(grep -m1 -E 'ERROR|runtime error' "$out/$name.log" || tail -n1 "$out/$name.log")"
}

sanitize="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
for test in "rbtree" "frame" "space" "aspace model.c"; do
	set -- $test
	name=$1
	shift
	if build gcc "$sanitize" "$out/$name" "test_$name.c" "$@" 2>"$out/$name.build"; then
		run "$name" "$out/$name" "$seed"
	else
		failed=1
		echo "FAIL mm-$name: does not build: $(grep -m1 error "$out/$name.build")"
	fi
done

if ! command -v clang-19 >/dev/null; then
	echo "skip mm-aspace-fuzz: clang-19 is not installed"
elif build clang-19 "$sanitize -fsanitize=fuzzer" "$out/fuzz" fuzz_aspace.c model.c 2>"$out/fuzz.build"; then
	mkdir -p "$out/corpus"
	run fuzz "$out/fuzz" -max_total_time="${FUZZ_SECONDS:-5}" -max_len=4096 -artifact_prefix="$out/" "$out/corpus"
	[ $failed -ne 0 ] || echo "ok mm-aspace-fuzz"
elif grep -q libclang_rt "$out/fuzz.build"; then
	echo "skip mm-aspace-fuzz: libclang-rt-19-dev is not installed"
else
	failed=1
	echo "FAIL mm-aspace-fuzz: does not build: $(grep -m1 error "$out/fuzz.build")"
fi
exit $failed
