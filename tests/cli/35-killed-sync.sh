#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A run that takes in another machine's packs is killed at any write, and the
# record that listed them is lost: what is saved then can be restored all the
# same by a machine that knows nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_shim
as() { # MACHINE COMMAND...
	local machine=$1

	shift
	XDG_CACHE_HOME=$work/$machine.cache XDG_STATE_HOME=$work/$machine.state \
		QSTORE_HOST=$machine "$@"
}

small_tree src
expect 0 as a "$qstore" init --no-confirm --no-recovery
for machine in a b c; do expect 0 as $machine "$qstore" snapshot src; done
noise more 3000000 >src/more
find store -path '*/log/*' -type f | sort >before
expect 0 as b "$qstore" snapshot src
record=$(find store -path '*/log/*' -type f | sort | comm -13 before -)
cp -a store whole
cp -a c.cache kept.cache
cp -a c.state kept.state

at=0
killed=true
while $killed; do
	at=$((at + 1))
	rm -rf store c.cache c.state e.cache e.state back
	cp -a whole store
	cp -a kept.cache c.cache
	cp -a kept.state c.state
	got=0
	as c env LD_PRELOAD="$shim" QS_FAULT=kill:any:$at "$qstore" ls latest \
		>out 2>err </dev/null || got=$?
	[ "$got" = 137 ] || killed=false
	rm "$record"
	expect 0,3 as c "$qstore" --accept-rollback snapshots
	expect 0 as c "$qstore" snapshot src
	expect 0 as e "$qstore" restore latest --target back
	cmp -s src/more back/src/more || fail "killed at $at: a file is missing"
done
[ $at -gt 3 ] || fail "only $at writes were met"
echo "killed at $((at - 1)) places"
