#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Two that write at once, and readers beside them, do not harm each other.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
mkdir a b
for i in $(seq 60); do
	noise "a $i" 60000 >"a/$i"
	noise "b $i" 60000 >"b/$i"
done
cp -a src a/src
cp -a src b/src
new_store
expect 0 q snapshot src

# The same machine twice: each may have to wait or say busy, never more.
"$qstore" snapshot a >out.a 2>err.a </dev/null &
one=$!
"$qstore" snapshot b >out.b 2>err.b </dev/null &
two=$!
expect 0 q snapshots
got_a=0
got_b=0
wait "$one" || got_a=$?
wait "$two" || got_b=$?
for got in $got_a $got_b; do
	case $got in
	0 | 11) ;;
	*)
		cat err.a err.b >&2
		fail "two at once: exits $got_a, $got_b"
		;;
	esac
done
[ "$got_a" = 0 ] || [ "$got_b" = 0 ] || fail 'both were busy'
[ "$got_a" = 0 ] || expect 0 q snapshot a
[ "$got_b" = 0 ] || expect 0 q snapshot b

# Another machine (its own cache and state) at the same time.
echo more >>a/1
echo more >>b/1
XDG_STATE_HOME=$work/state2 XDG_CACHE_HOME=$work/cache2 QSTORE_HOST=second \
	"$qstore" snapshot b >out.b 2>err.b </dev/null &
two=$!
expect 0 q snapshot a
wait "$two" || {
	cat err.b >&2
	fail 'the second machine failed'
}
expect 0 q check --read-data
[ "$(count_snapshots)" = 5 ] || fail "$(count_snapshots) snapshots, not 5"
expect 0 q restore "latest:/a" --path "$work/a" --target out1
same a out1
expect 0 q restore "latest:/b" --path "$work/b" --target out2
same b out2
