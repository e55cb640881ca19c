#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A flipped byte in any file of the store is found, named, and costs only itself.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
for i in $(seq 6); do
	noise "own snapshot $i" 200000 >"src/part$i"
	[ -d store ] || new_store
	expect 0 q snapshot src
done
cp -a store good
mapfile -t files < <(cd store && find . -type f ! -name README.txt | sort)
[ "${#files[@]}" -ge 10 ] || fail "only ${#files[@]} files in the store"

flip() { # FILE OFFSET
	/usr/bin/python3 -c '
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2])); b = f.read(1)
    f.seek(int(sys.argv[2])); f.write(bytes([b[0] ^ 1]))' "$1" "$2"
}

damaged=0
for file in "${files[@]}"; do
	case $file in
	*/keys/*) continue ;; # below
	esac
	size=$(stat -c %s "store/$file")
	for at in 200 $((size / 2)) $((size - 1)); do
		flip "store/$file" "$at"
		got=0
		"$qstore" check --read-data >out 2>err </dev/null || got=$?
		last="check, byte $at of $file flipped"
		[ "$got" -ne 0 ] || fail 'finds nothing'
		[ "$got" -lt 128 ] || fail "crashed: exit $got"
		name=$(basename "$file")
		cat out err | grep -qE "${name:0:8}|$(cut -d- -f2 <<<"$name" |
			cut -c1-8)" || fail 'does not name it'
		cp "good/$file" "store/$file"
		damaged=$((damaged + 1))
		[ -z "${QS_SANITIZED:-}" ] || break
	done
done
echo "07-tamper: $damaged flips, all found"
expect 0 q check --read-data

# A pack that is gone costs its files; the others come back.
pack=$(find store -path '*/obj/*' -type f -printf '%s %p\n' | sort -n |
	tail -1 | cut -d' ' -f2)
flip "$pack" $(($(stat -c %s "$pack") / 2))
expect 3 q restore "latest:/src" --target out1
says 'src|docs|big|numbers|part'
whole=0
while IFS= read -r -d '' file; do
	if [ -e "out1/${file#src/}" ]; then
		cmp -s "$file" "out1/${file#src/}" || fail "$file is wrong"
		whole=$((whole + 1))
	fi
done < <(find src -type f -print0)
[ "$whole" -ge 1 ] || fail 'nothing came back'
cp -a good/. store/

# A damaged slot: the other ones still open the folder.
for slot in store/*/keys/*.key; do
	flip "$slot" 1000
	got=0
	"$qstore" snapshots >out 2>err </dev/null || got=$?
	last="snapshots, $slot flipped"
	[ "$got" -lt 128 ] || fail "crashed: exit $got"
	: "$got" # either way: another slot may fit
	cp "good/${slot#store/}" "$slot"
done
expect 0 q snapshots
