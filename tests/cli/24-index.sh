#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# The index is a cache: wherever it is damaged, what asks it goes on without.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
new_store
expect 0 q snapshot src
index=$(find "$XDG_CACHE_HOME" -name index.sqlite)
cp -a "$XDG_CACHE_HOME" good
pages=$(($(stat -c %s "$index") / 4096))
[ "$pages" -gt 10 ] || fail "only $pages pages"

# damage PAGE...: a byte of each of these pages is another one, now and then.
damage() {
	rm -rf "$XDG_CACHE_HOME"
	cp -a good "$XDG_CACHE_HOME"
	/usr/bin/python3 - "$index" "$@" <<'END'
import sys
with open(sys.argv[1], "r+b") as index:
    for page in map(int, sys.argv[2:]):
        index.seek(page * 4096)
        bytes_ = bytearray(index.read(4096))
        for at in range(0, 4096, 37):
            bytes_[at] ^= 0xff
        index.seek(page * 4096)
        index.write(bytes_)
END
}

saves() {
	expect 0 q snapshot src
	prints 'snapshot [0-9a-f]* saved'
}

for ((page = 0; page < pages; page++)); do
	damage "$page"
	saves
	damaged=$(grep -c 'index.* damaged' err || true)
	[ "$damaged" -le 1 ] || fail "page $page: said $damaged times"
	saves
	says_not 'index'
done
# shellcheck disable=SC2046 # words, not one word
damage $(seq 1 $((pages - 1)))
saves
says 'index.* damaged'
[ -e "$index.damaged" ] || fail 'the damaged index was not kept'
expect 0 q check --read-data
says_not 'index'

# Reading, too; what prints as it goes may have to be asked again.
for ((page = 1; page < pages; page += 3)); do
	for command in check stats 'restore latest:/src --target back'; do
		rm -rf back
		damage "$page"
		# shellcheck disable=SC2086 # words, not one word
		expect 0 q $command
	done
	same src back
	for command in 'ls latest' 'find hello.txt' 'dump latest /src/numbers.txt'; do
		damage "$page"
		# shellcheck disable=SC2086 # words, not one word
		expect 0,1,3 q $command
		# shellcheck disable=SC2086 # words, not one word
		expect 0 q $command
	done
	cmp -s out src/numbers.txt || fail "page $page: dump"
done

# What came from standard input is gone: no second try.
for ((page = 1; page < pages; page += 3)); do
	damage "$page"
	last="page $page: snapshot --stdin"
	code=0
	"$qstore" snapshot --stdin <src/numbers.txt >out 2>err || code=$?
	case $code in
	0) ;;
	1) says 'index.* damaged' ;;
	*) fail "exit $code: $last" ;;
	esac
	"$qstore" snapshot --stdin <src/numbers.txt >out 2>err || fail "$last"
	expect 0 q dump latest /stdin
	cmp -s out src/numbers.txt || fail "$last: other bytes"
done
