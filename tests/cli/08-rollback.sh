#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A store that went back in time is noticed, in words.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
new_store
expect 0 q snapshot src
echo more >src/more
expect 0 q snapshot src
expect 0 q snapshots -v
token=$(sed -n 's/^head //p' out)
[ -n "$token" ] || fail 'prints no head token'
cp -a store good

newest=$(find store -path '*/log/*' -type f -printf '%T@ %p\n' | sort -n |
	tail -1 | cut -d' ' -f2)
rm "$newest"
got=0
"$qstore" snapshots >out 2>err </dev/null || got=$?
last='snapshots, newest record gone'
says 'back in time|went back|older|missing'
got=0
"$qstore" snapshot src >out 2>err </dev/null || got=$?
last='snapshot, newest record gone'
[ "$got" -ne 0 ] || fail 'writes on over a rolled back log'
says 'back in time|went back|older|missing'

# On purpose: with the option the older state is taken.
expect 0,3 q snapshots --accept-rollback
[ "$(q snapshots --json --accept-rollback 2>/dev/null | /usr/bin/python3 -c \
	'import json, sys; print(len(json.load(sys.stdin)))')" = 1 ] ||
	fail 'there is not 1 snapshot'

# Another machine has no marks: the token that was written down tells it.
rm -rf store && cp -a good store && rm -rf cache state
expect 0 q snapshots
expect 0 q restore latest --target out1 --expect-head "$token"
rm "$newest"
rm -rf cache state
expect 1 q restore latest --target out2 --expect-head "$token"
says 'head'
[ ! -e out2/src ] || fail 'restores what is not expected'
