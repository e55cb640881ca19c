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

# unread FILE... -- ARGUMENT...: such a snapshot finds nothing new or changed,
# and opens none of these files.
unread() {
	local names=()

	while [ "$1" != -- ]; do
		names+=("$1")
		shift
	done
	shift
	if command -v strace >/dev/null && [ -z "${QS_SANITIZED:-}" ] &&
		strace -f -o "$work/trace" true 2>/dev/null; then
		expect 0 strace -f -e trace=openat,open -o "$work/trace" \
			"$qstore" snapshot "$@"
		for name in "${names[@]}"; do
			! grep -q "\"$name\"\|/$name\"" "$work/trace" ||
				fail "$name was opened"
		done
	else
		echo "02-unchanged: no strace: looked at the totals only"
		expect 0 q snapshot "$@"
	fi
	prints '^Files: *0 new, *0 changed'
}

unread file1 file5 big.bin numbers.txt hello.txt zero -- src
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

# Files that are named are recognised as well, in whatever company and from
# wherever they are named.
sleep 0.1
expect 0 q snapshot src/numbers.txt
unread numbers.txt -- src/numbers.txt
expect 0 q snapshot src/docs/file* src/docs/deep
unread file1 file5 hello.txt -- src/docs/file* src/docs/deep
unread numbers.txt -- src/numbers.txt
expect 0 q snapshot src/docs/* src/numbers.txt
prints '^Files: *1 new, *0 changed, *7 unmodified' # hard is new
unread file1 file5 hello.txt hard -- src/docs/*
(cd src && expect 0 q snapshot "$PWD/numbers.txt" zero)
(cd src && unread numbers.txt -- "$PWD/numbers.txt" zero)
expect 0 q snapshot --dry-run src/big.bin
prints '^Files: *1 new'
expect 0 q snapshot --dry-run src/big.bin
prints '^Files: *1 new' # a dry run remembers nothing
printf Y | dd of=src/docs/file3 conv=notrunc status=none
touch -d "$stamp" src/docs/file3
expect 0 q snapshot src/docs/*
prints '^Files: *0 new, *1 changed'
expect 0 q snapshot --force src/numbers.txt
prints '^Files: *0 new, *1 changed'
rm -rf store/*/obj # what is gone from the store is not taken as known
expect 0,3 q snapshot src/numbers.txt
expect 0 q restore "latest:/src/numbers.txt" --target out2
cmp src/numbers.txt out2/numbers.txt
