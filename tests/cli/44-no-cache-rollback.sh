#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# --no-cache leaves nothing on the machine; what is remembered there is asked
# all the same.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
new_store
expect 0 q snapshot src
echo more >src/more
expect 0 q snapshot src
newest=$(find store -path '*/log/*' -type f -printf '%T@ %p\n' | sort -n |
	tail -1 | cut -d' ' -f2)
mv "$newest" away
find state cache -type f -printf '%p %s %T@\n' | sort >before
for how in 'snapshots' 'restore latest --target out1' 'ls latest'; do
	# shellcheck disable=SC2086 # words, not one word
	expect 3 q --no-cache $how
	says 'went back in time'
done
find state cache -type f -printf '%p %s %T@\n' | sort >after
cmp -s before after || fail '--no-cache writes'
mv away "$newest"
expect 0 q --no-cache snapshots
# A machine that has never seen it: nothing is made there.
expect 0 env XDG_STATE_HOME="$work/s" XDG_CACHE_HOME="$work/c" "$qstore" \
	--no-cache restore latest --target out2
[ ! -e s ] && [ ! -e c ] || fail '--no-cache makes folders'
same src out2/src
