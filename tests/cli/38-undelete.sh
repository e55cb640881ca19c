#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# undelete brings snapshots back with the retired objects that they need, as
# long as these are there, and says what is not whole any more.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir -p one two
noise first 3000000 >one/big
seq 20000 >one/text
noise second 900000 >two/other
cp one/text two/text
new_store
expect 0 q snapshot one two
both=$(latest)
expect 0 q snapshot two
expect 0 q forget "$both"
expect 0 q retire --max-unused 0% --json
cp -a store retired
cp -a cache retired.cache
cp -a state retired.state

fresh() {
	rm -rf store cache state out1
	cp -a retired store
	cp -a retired.cache cache
	cp -a retired.state state
}

expect 0 q undelete "$both"
prints 'brought back'
expect 0 q restore "$both" --target out1
same one out1/one
expect 0 q check --read-data
# In use again, for every machine: also what a retire has in mind now.
expect 0 q retire --json
expect 0 env XDG_CACHE_HOME="$work/b.cache" XDG_STATE_HOME="$work/b.state" \
	"$qstore" check --read-data
rm -rf out1
expect 0 env XDG_CACHE_HOME="$work/b.cache" XDG_STATE_HOME="$work/b.state" \
	"$qstore" restore "$both" --target out1
same one out1/one

# Something is gone for good: told, with exit 3, and the rest is back.
fresh
gone=0
for object in $(find store -path '*/obj/*' -type f); do
	fresh
	[ "$(stat -c %s "$object")" -gt 1000000 ] || continue
	rm "$object"
	expect 0,3 q undelete --all
	[ "$rc" = 3 ] || continue
	says "$both is not whole"
	gone=$((gone + 1))
	expect 0 q snapshots
	prints "$both"
done
[ "$gone" -gt 0 ] || fail 'no loss was noticed'
[ "$(find cache state -name 'undelete*' | wc -l)" = 0 ] ||
	fail 'its index was left behind'

need_shim
fresh
expect 0 env LD_PRELOAD="$shim" QS_FAULT_COUNT="$work/counts" "$qstore" \
	undelete --all
total=$(sed -n 's/^any //p' counts)
step=$(((total + 14) / 15))
for k in $({
	seq 1 "$step" "$total"
	seq $((total > 8 ? total - 8 : 1)) "$total"
} | sort -nu); do
	fresh
	got=0
	{ LD_PRELOAD="$shim" QS_FAULT="kill:any:$k" "$qstore" undelete --all \
		>out 2>err </dev/null; } 2>/dev/null || got=$?
	last="undelete, killed at write $k of $total"
	[ "$got" = 137 ] || [ "$got" = 0 ] || fail "exit $got"
	expect 0 q snapshot two
	expect 0 q check --read-data
	expect 0 q undelete --all
	expect 0 q restore "$both" --target out1
	same one out1/one
	rm -rf out1
done
echo "killed at places up to $total"
