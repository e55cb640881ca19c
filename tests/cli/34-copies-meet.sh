#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Copies of a store on which different machines were certified meet, and all
# goes on; the same for a record that was given up and comes back.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

as() { # MACHINE COMMAND...: with its own cache and state
	local machine=$1

	shift
	XDG_CACHE_HOME=$work/$machine.cache XDG_STATE_HOME=$work/$machine.state \
		QSTORE_HOST=$machine "$qstore" "$@"
}

small_tree src
expect 0 as a init --no-confirm --no-recovery
expect 0 as a snapshot src
cp -a store copy
for i in 1 2; do
	expect 0 as b snapshot src
	expect 0 as c -r "$work/copy" snapshot src
done
# A set union: nothing has the same name and other bytes.
cp -an copy/. store/
cp -an store/. copy/
for machine in a b c d; do
	expect 0 as $machine snapshot src
	expect 0 as $machine snapshots
done
[ "$(as a snapshots --json | /usr/bin/python3 -c \
	'import json, sys; print(len(json.load(sys.stdin)))')" = 9 ] ||
	fail 'snapshots are missing'
expect 0 as d check --read-data
cp -an copy/. store/
expect 0 as b snapshot src

# Keys can be changed after it, and the old one is no use any more.
echo 'another horse battery' >new
cp password old
expect 0 as a key passwd --new-password-file new
expect 12 as a snapshots
cp new password
expect 0 as a snapshots
expect 0 as c snapshot src

# The only slot that is known to have the right to delete stays.
slot=$(as a key list --json | /usr/bin/python3 -c \
	'import json, sys; print(json.load(sys.stdin)[0]["id"])')
expect 1 as a key remove "${slot:0:8}"
says 'opened just now|last'

# A record that was given up comes back: a new key went on meanwhile.
newest=$(find store -path '*/log/*' -type f -printf '%T@ %p\n' | sort -n |
	tail -1 | cut -d' ' -f2)
mv "$newest" aside
expect 0,3 as c --accept-rollback snapshot src
mv aside "$newest"
for i in 1 2; do
	expect 0 as c snapshot src
	says_not 'forked'
done
expect 0 as c snapshots

# What only a lost record listed is listed again by the next one: nobody else
# could restore what is built upon it.
noise more 3000000 >src/more
expect 0 as c snapshot src
newest=$(find store -path '*/log/*' -type f -printf '%T@ %p\n' | sort -n |
	tail -1 | cut -d' ' -f2)
mv "$newest" lost
expect 0,3 as c --accept-rollback snapshots
expect 0 as c snapshot src
expect 0 as e check --read-data
expect 0 as e restore latest --target back
same src back/src
mv lost "$newest"
for i in 1 2; do
	expect 0 as c snapshot src
	says_not 'forked'
done

# Also when its packs were away for a while, and looked for in vain.
find store -path '*/obj/*' -type f | sort >before
noise away 3000000 >src/away
expect 0 as c snapshot src
find store -path '*/obj/*' -type f | sort | comm -13 before - >packs
mkdir away
while read -r pack; do mv "$pack" away/; done <packs
expect 1 as c check
while read -r pack; do mv "away/$(basename "$pack")" "$pack"; done <packs
newest=$(find store -path '*/log/*' -type f -printf '%T@ %p\n' | sort -n |
	tail -1 | cut -d' ' -f2)
rm "$newest"
expect 0,3 as c --accept-rollback snapshots
expect 0 as c snapshot src
expect 0 as h restore latest --target back-away
same src back-away/src

# A branch that comes late is taken in, also below what was read before.
cp -a store late
echo b >src/b
expect 0 as b -r "$work/late" snapshot src
for i in 1 2 3; do expect 0 as a snapshot src; done
cp -an late/. store/
expect 0 as a restore latest --host b --target back-b
cmp -s src/b back-b/src/b || fail 'the late branch is not there'

# A second folder only by name; one that was never finished is none.
expect 1 as a init --no-confirm --no-recovery
says 'folder already'
says '\-F'
mkdir store/0123456789abcdef0123456789abcdef
mkdir store/0123456789abcdef0123456789abcdef/keys
expect 0 as a snapshots
rm -rf store/0123456789abcdef0123456789abcdef

# What is listed again when all records of a machine are gone, another's, and our own; with
# what this machine remembers of it, and without.
for case in another own; do
	ls store/*/log >before
	noise "gone $case" 2000000 >src/gone
	expect 0 as "f-$case" snapshot src
	device=$(ls store/*/log | comm -13 before -)
	writer=f-$case
	if [ $case = another ]; then
		writer=a
		expect 0 as a snapshot src/docs
		rm -rf a.state
	fi
	mv store/*/log/"$device" gone-log
	expect 0,3 as "$writer" --accept-rollback snapshots
	expect 0 as "$writer" snapshot src
	# Somebody saw the lost record: that is told, and all is there.
	expect 0,3 as "e-$case" restore latest --target "back-$case"
	same src "back-$case/src"
	expect 0,1 as "e-$case" check --read-data
	says_not 'no known pack'
	rm -rf gone-log
done
