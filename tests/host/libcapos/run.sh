#!/bin/sh
# Host tests of libcapos: the parts that need no kernel, compiled with other names so that the
# host's C library can be the yardstick. Prints "ok NAME", "FAIL NAME" lines.
set -u

root=$(CDPATH= cd -- "$(dirname -- "$0")/../../.." && pwd)
out=$root/build/host/libcapos
here=$root/tests/host/libcapos
failed=0
mkdir -p "$out/include"
cd "$root" || exit 1
make -s schema >&2 || { echo "FAIL libcapos: the schema does not compile"; exit 1; }
# Only the capOS headers: the C headers are the host's here.
ln -sfn "$root/libcapos/include/capos" "$out/include/capos"

names="vsnprintf snprintf sprintf memcpy memmove memset memcmp memchr strlen strnlen strcpy strncpy strcat strncat strlcpy strcmp
strncmp strchr strrchr strstr strspn strcspn strpbrk strtok_r strndup strdup malloc calloc realloc
aligned_alloc posix_memalign free"
rename=
for name in $names; do rename="$rename -D$name=capos_$name"; done

flags="-std=gnu17 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -fno-builtin"
paths="-Ilibcapos/src -I$out/include -Ibuild/gen/include -Ibuild/gen/libcapos"

compile() {
	# shellcheck disable=SC2086
	gcc $flags $rename $paths -c "libcapos/src/$1.c" -o "$out/$1.o" || { echo "FAIL libcapos: $1.c does not build"; exit 1; }
}

# shellcheck disable=SC2086
test_program() {
	name=$1
	shift
	gcc $flags $paths "$here/$name.c" "$@" -o "$out/$name" -lm || { echo "FAIL libcapos: $name does not build"; exit 1; }
	"$out/$name" || failed=1
}

compile format
compile string
compile malloc
test_program test_format "$out/format.o" "$out/string.o" "$out/malloc.o" "$here/no_system.c"
test_program test_malloc "$out/malloc.o" "$out/string.o"
exit $failed
