#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Killed at every k-th write, the store is whole and the next run succeeds.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_shim
small_tree src
new_store
expect 0 q snapshot src/docs
cp -a store store.0
cp -a cache cache.0 2>/dev/null || mkdir cache.0
cp -a state state.0 2>/dev/null || mkdir state.0

fresh() {
	rm -rf store cache state
	cp -a store.0 store
	cp -a cache.0 cache
	cp -a state.0 state
}

fresh
expect 0 env LD_PRELOAD="$shim" QS_FAULT_COUNT="$work/counts" "$qstore" \
	snapshot src
total=$(sed -n 's/^any //p' counts)
[ "$total" -gt 10 ] || fail "the shim counted $total writes"

# About 25 places, the first and the last ones among them.
step=$(((total + 19) / 20))
places=$({
	seq 1 4
	seq 5 "$step" "$total"
	seq $((total > 5 ? total - 5 : 1)) "$total"
} | sort -nu)
saved=0
for k in $places; do
	fresh
	got=0
	{ LD_PRELOAD="$shim" QS_FAULT="kill:any:$k" "$qstore" snapshot src \
		>out 2>err </dev/null; } 2>/dev/null || got=$?
	last="snapshot, killed at write $k of $total"
	[ "$got" = 137 ] || [ "$got" = 0 ] || fail "exit $got"
	! grep -q saved out || saved=$((saved + 1))
	# What was said to be saved is saved; what was there still is.
	[ "$(count_snapshots)" -ge 1 ] || fail 'the old snapshot is gone'
	if grep -q 'saved' out; then
		[ "$(count_snapshots)" = 2 ] || fail 'said saved, and is not'
	fi
	expect 0 q check --read-data
	expect 0 q snapshot src
	rm -rf out1
	expect 0 q restore "latest:/src" --target out1
	same src out1
done
echo "06-kill: $(wc -w <<<"$places") places of $total, $saved after the word"

# The same for writes that fail: an error, never a false word.
for plan in write:3+ fsync:2+ link:2+ write:9+ fsync:5+ link:4+; do
	fresh
	got=0
	faulty "$plan" snapshot src >out 2>err </dev/null || got=$?
	last="snapshot with $plan"
	if [ "$got" = 0 ]; then
		grep -q saved out || fail 'exit 0 and nothing saved'
	else
		[ -s err ] || fail "exit $got without a word"
		! grep -q 'snapshot .* saved' out || fail 'failed, and says saved'
	fi
	expect 0 q check --read-data
	expect 0 q snapshot src
done
for n in 1 50 200 500 1000 2000 4000; do
	fresh
	got=0
	faulty "malloc:$n+" snapshot src >out 2>err </dev/null || got=$?
	last="snapshot with malloc:$n+"
	[ "$got" -lt 128 ] || fail "crashed: exit $got"
	expect 0 q check
done
