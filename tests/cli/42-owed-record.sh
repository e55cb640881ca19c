#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Packs that snapshots need and that no record lists: a record is made of them
# although nothing has changed, and check says so until it is.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_shim
fresh() { # as a machine that has never seen the store
	XDG_CACHE_HOME=$work/fresh.cache XDG_STATE_HOME=$work/fresh.state \
		"$qstore" "$@"
}

mkdir src
for i in 1 2 3; do noise "$i" 3000000 >"src/$i"; done
new_store
expect 0 q snapshot src
pack=$(find store -path '*/obj/*' -type f -size +4M | head -1)
[ -n "$pack" ] || fail 'no large object'
rm "$pack"
# It is stored anew, and then the run is killed before the record.
at=0
owed=false
cp -a store whole
cp -a cache whole.cache
cp -a state whole.state
while ! $owed; do
	at=$((at + 1))
	[ $at -lt 50 ] || fail 'no run was killed between its packs and its record'
	rm -rf store cache state
	cp -a whole store
	cp -a whole.cache cache
	cp -a whole.state state
	got=0
	faulty "kill:link:$at" snapshot -q --skip-if-unchanged src >out 2>err \
		</dev/null || got=$?
	[ "$got" = 137 ] || fail 'no run was killed between its packs and its record'
	[ -z "$(find store -path '*/obj/*' -type f -size +4M)" ] || owed=true
done

# Somebody looks, so that the index has them.
expect 0 q snapshots
expect 1 q check
says 'objects that snapshots need are listed by no valid record'
says 'run qstore snapshot'
q check --json >json 2>/dev/null || true
grep -q '"unlisted_packs":[1-9]' json || fail "does not count them: $(cat json)"
before=$(count_snapshots)
expect 0 q snapshot --skip-if-unchanged src
[ "$(count_snapshots)" = $((before + 1)) ] || fail 'no record is made'
expect 1 q check # one object is gone for good
says_not 'listed by no valid record'
expect 0 q snapshot --skip-if-unchanged src
[ "$(count_snapshots)" = $((before + 1)) ] || fail 'a record is made once more'
# Each snapshot can be restored: also the first, which needs them.
for id in latest latest~1; do
	rm -rf back fresh.cache fresh.state
	expect 0 fresh restore "$id:/src" --target back
	same src back
done
# What no snapshot needs is harmless.
rm -rf store cache state
cp -a whole store
cp -a whole.cache cache
cp -a whole.state state
expect 0 q snapshot src
noise 4 300000 >src/4
faulty "kill:link:3" snapshot -q src >out 2>err </dev/null || true
rm src/4
expect 1 q check
says_not 'listed by no valid record'
