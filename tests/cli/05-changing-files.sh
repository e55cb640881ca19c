#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Files that vanish, grow or shrink while they are saved cost only themselves.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
mkdir src/busy
for i in $(seq 200); do
	noise "busy $i" 40000 >"src/busy/$i"
done
noise grow 8000000 >src/growing
new_store

# One writer appends, one removes and makes files, for as long as it takes.
(
	trap - EXIT ERR
	set +e
	i=0
	while :; do
		echo "line $i" >>src/growing
		rm -f "src/busy/$((i % 200 + 1))"
		echo "again $i" >"src/busy/new$((i % 50))"
		i=$((i + 1))
	done
) 2>/dev/null &
writer=$!
for _ in 1 2 3; do
	got=0
	"$qstore" snapshot src >out 2>err </dev/null || got=$?
	case $got in
	0 | 3) ;;
	*)
		kill "$writer"
		last='snapshot while files change'
		fail "exit $got, neither 0 nor 3"
		;;
	esac
done
kill "$writer"
wait "$writer" 2>/dev/null || true

expect 0 q check --read-data
expect 0 q restore "latest:/src/docs" --target out1
same src/docs out1
expect 0 q snapshot src
expect 0 q restore "latest:/src" --target out2
same src out2

# A folder that can't be read, as a user: exit 3, and the rest is there.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	mkdir -m 000 src/closed
	chown -R 65534:65534 src store cache state config home password 2>/dev/null ||
		true
	expect 3 setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$qstore" snapshot src
	says closed
fi
