#!/bin/sh
# Checks the models: the protocol as it is must be accepted, every broken variant must be rejected.
#
# models/run.sh [--short] [MODEL...]
#
# Without --short each protocol is checked within both bounds its model states, and all variants
# are. With it, only the small bounds and the first three variants of each model. Prints `ok`,
# `FAIL` or `skip` lines and, before each, what was searched. Everything is built in build/models.
set -u

source_directory=$(cd "$(dirname "$0")" && pwd)
build=$source_directory/../build/models
short=no
if [ "${1-}" = --short ]; then
	short=yes
	shift
fi
[ $# -gt 0 ] || set -- $(cd "$source_directory" && ls ./*.pml | sed 's|^\./||; s|\.pml$||')

if ! command -v spin >/dev/null 2>&1; then
	for model in "$@"; do
		echo "skip models/$model: spin is not installed"
	done
	exit 0
fi

failed=0

# search MODEL LABEL DEFINES: leaves the checker's report in $build/LABEL/report.
search() {
	directory=$build/$2
	rm -rf "$directory"
	mkdir -p "$directory"
	(
		cd "$directory" || exit 1
		spin -a $3 "$source_directory/$1.pml" || exit 1
		${CC:-gcc} $optimize -w -DSAFETY -DCOLLAPSE -DMEMLIM=4000 -o pan pan.c || exit 1
		./pan -n -m1000000 -w22
	) >"$directory/report" 2>&1
	awk -v name="$2" '
		/states, stored/ { states = $1 }
		/depth reached/ {
			for (i = 1; i < NF; i++) if ($i == "reached") depth = $(i + 1) + 0
		}
		/elapsed time/ { seconds = $4 }
		END {
			printf "   %-22s %10d states, depth %5d, %7.2f s\n",
				name, states, depth, seconds
		}' "$directory/report"
}

fail() {
	echo "FAIL models/$1: $2 (build/models/$3/report)"
	failed=1
}

# A search that was cut short has found nothing, whatever it says.
complete() {
	! grep -q -e 'max search depth too small' -e 'out of memory' -e 'MEMLIM bound' \
		"$build/$1/report"
}

check_protocol() {
	search "$1" "$2" "$3"
	if grep -q 'errors: 0$' "$build/$2/report" && complete "$2"; then
		return 0
	fi
	fail "$1" "$(grep -m 1 -e '^pan:' -e '[Ee]rror' "$build/$2/report" || echo no result)" "$2"
	return 1
}

check_broken() {
	search "$1" "$1-$2" "-DSHORT -D$2"
	if grep -q -e '^pan:1: assertion violated' -e '^pan:1: invalid end state' \
		"$build/$1-$2/report"; then
		echo "ok models/$1 rejects $2"
	else
		fail "$1" "accepts $2" "$1-$2"
	fi
}

for model in "$@"; do
	optimize=-O1
	if check_protocol "$model" "$model-short" -DSHORT &&
		{ [ $short = yes ] || check_protocol "$model" "$model" ""; }; then
		echo "ok models/$model"
	fi
	variants=$(grep -o 'BROKEN_[0-9]*' "$source_directory/$model.pml" | sort -u -t _ -k 2 -n)
	[ $short = no ] || variants=$(echo "$variants" | head -n 3)
	[ -n "$variants" ] || fail "$model" "has no broken variants" "$model"
	optimize=-O0
	for variant in $variants; do
		check_broken "$model" "$variant"
	done
done
exit $failed
