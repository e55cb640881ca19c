#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# snapshot says 3 for what that snapshot lacks, check says 1 for what it found.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

check_fails() { # ERRORS
	for look in check 'check --read-data'; do
		# shellcheck disable=SC2086 # words, not one word
		expect 1 q $look
		says "check: $1 error"
		! grep -q 'no errors' out || fail "$look: no errors, they say"
	done
	expect 1 q check --json
	prints "\"num_errors\":$1[,}]"
}

small_tree src
new_store
expect 0 q snapshot src
cp -a store good
pack=$(find store -path '*/obj/*' -type f -printf '%s %p\n' | sort -n |
	tail -1 | cut -d' ' -f2)

# An object that is damaged or gone is told; what it held is stored anew, and
# nothing is lacking then or later.
for harm in "rm $pack" "truncate -s -1000000 $pack"; do
	rm -rf store "$XDG_CACHE_HOME" "$XDG_STATE_HOME"
	cp -a good store
	expect 0 q snapshot src
	$harm
	for try in 1 2 3; do
		expect 0 q snapshot src
		says "^warning: object $(basename "$pack" | cut -c 1-8)"
		says_not 'could not be read'
		prints 'snapshot [0-9a-f]* saved'
		expect 0 q restore latest:/src/big.bin --target "out$try"
		cmp "out$try/big.bin" src/big.bin
		rm -rf "out$try"
	done
	check_fails 1
done

# A file that can't be read is lacking.
rm -rf store "$XDG_CACHE_HOME" "$XDG_STATE_HOME"
cp -a good store
expect 3 q snapshot src nowhere
says 'nowhere'

# The log: a damaged record, one that is gone.
rm -rf store && cp -a good store
for harm in "truncate -s -7" rm; do
	rm -rf store "$XDG_CACHE_HOME" "$XDG_STATE_HOME"
	cp -a good store
	expect 0 q snapshot src
	expect 0 q check
	newest=$(find store -path '*/log/*' -type f -printf '%T@ %p\n' |
		sort -n | tail -1 | cut -d' ' -f2)
	$harm "$newest"
	check_fails '[1-9]'
done
