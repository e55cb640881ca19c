#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A second snapshot of what did not change opens no file, adds no data.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
touch -d '2020-01-01' src/numbers.txt
new_store
sleep 0.1 # files must be older than the snapshot to be trusted
expect 0 q snapshot src
before=$(find store -type f | wc -l)
if command -v strace >/dev/null && [ -z "${QS_SANITIZED:-}" ] &&
	strace -f -o trace true 2>/dev/null; then
	expect 0 strace -f -e trace=openat,open -o trace "$qstore" snapshot src
	for name in file1 file5 big.bin numbers.txt hello.txt zero; do
		! grep -q "\"$name\"\|/$name\"" trace || fail "$name was opened"
	done
else
	echo "02-unchanged: no strace: looked at the totals only"
	expect 0 q snapshot src
fi
prints '(^|[^0-9])0 new'
prints '(^|[^0-9])0 changed'
[ "$(count_snapshots)" = 2 ] || fail 'there are not 2 snapshots'
after=$(find store -type f | wc -l)
[ $((after - before)) -le 3 ] || fail "$((after - before)) new objects"

# One byte in one file is seen, also when size and time are made to look alike.
stamp=$(stat -c %y src/docs/file3)
printf X | dd of=src/docs/file3 conv=notrunc status=none
touch -d "$stamp" src/docs/file3
expect 0 q snapshot src
prints '(^|[^0-9])1 changed'
expect 0 q restore "latest:/src" --target out1
same src out1
