# Builtins only, because the port starts no processes.
set -eu
words=(pear apple fig)
declare -A count=()
for word in "${words[@]}" apple; do
	count[$word]=$((${count[$word]:-0} + 1))
done
for word in "${words[@]}"; do
	printf '%-6s %d\n' "$word" "${count[$word]}"
done
sum() {
	local total=0 n
	while read -r n; do
		total=$((total + n))
	done
	echo "$total"
}
for ((i = 1; i <= 100; i++)); do echo "$i"; done | sum
text=$(echo one; echo two)
echo "${text//$'\n'/,}" "${text%%o*}" "${#text}"
case "release-1.20" in
release-+([0-9.])) echo matched ;;
*) echo not matched ;;
esac
shopt -s extglob 2>/dev/null || true
while IFS=: read -r name value; do
	echo "$value=$name"
done <settings.txt
{
	echo first
	echo second >&2
} >out.txt 2>err.txt
cat_() { while IFS= read -r line; do echo "$line"; done; }
cat_ <out.txt | cat_
cat_ <<END
here ${words[0]^^}
END
for file in *.txt; do
	[[ -s $file && ! -d $file ]] && echo "$file"
done
trap 'echo leaving' EXIT
(exit 4) || echo "status $?"
echo $((1 << 10 ^ 0xff)) $((7 / 2)) $((-7 % 3))
exit 5
