#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# retire lets go of what nothing remembered needs, packs anew what is partly in
# use, and whatever kills it, every remembered snapshot stays whole: also those
# that another machine makes meanwhile.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

as() { # MACHINE COMMAND...
	local machine=$1

	shift
	XDG_CACHE_HOME=$work/$machine.cache XDG_STATE_HOME=$work/$machine.state \
		QSTORE_HOST=$machine "$@"
}

objects() {
	find store -path '*/obj/*' -type f | wc -l
}

field() { # NAME: of the JSON line that was printed
	/usr/bin/python3 -c 'import json, sys
print(json.loads(open(sys.argv[1]).read().splitlines()[-1])[sys.argv[2]])' \
		"$work/out" "$1"
}

# Trees that share some files: what only one has becomes unused.
mkdir -p one two three
noise shared 400000 >one/shared
noise only-one 3000000 >one/own
cp one/shared two/shared
noise only-two 700000 >two/own
cp one/shared three/shared
seq 30000 >three/own
expect 0 as a "$qstore" init --no-confirm --no-recovery
expect 0 as a "$qstore" snapshot one two
expect 0 as a "$qstore" snapshot two
expect 0 as b "$qstore" snapshot three
both=$(as a "$qstore" snapshots --json | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)[0]["short_id"])')

# Nothing is unused: nothing happens.
expect 0 as a "$qstore" retire --json
[ "$(field retired)" = 0 ] || fail 'something was retired'
expect 0 as a "$qstore" forget "$both"
expect 0 as a "$qstore" retire -n --json
[ "$(field retired)" -gt 0 ] || fail 'nothing would be retired'
before=$(objects)
expect 0 as a "$qstore" retire -n
[ "$(objects)" = "$before" ] || fail '-n wrote something'

# Only the admin may; who has the other slot is told so.
echo 'another passphrase' >other
expect 0 as a "$qstore" key add --new-password-file other --no-admin
expect 1 env QSTORE_PASSWORD_FILE="$work/other" XDG_CACHE_HOME="$work/c.cache" \
	XDG_STATE_HOME="$work/a.state" "$qstore" retire
says 'admin key'

# A tree that can't be read: then nobody knows what is in use.
cp -a store whole
cp -a a.cache whole.cache
cp -a a.state whole.state
cp -a b.cache whole-b.cache
cp -a b.state whole-b.state
for object in $(find store -path '*/obj/*' -type f); do
	mv "$object" hidden
	expect 0,1 as a "$qstore" retire -n
	[ "$rc" = 0 ] || says 'nothing is retired|missing'
	mv hidden "$object"
	rm -rf a.cache
	cp -a whole.cache a.cache
done

fresh() {
	rm -rf store a.cache a.state
	cp -a whole store
	cp -a whole.cache a.cache
	cp -a whole.state a.state
}

check_all() { # all that is remembered, by a machine that knows nothing
	rm -rf n.cache n.state out1 out2
	expect 0 as n "$qstore" restore latest --host a --target out1
	same two out1/two
	expect 0 as n "$qstore" restore latest --host b --target out2
	same three out2/three
	expect 0 as n "$qstore" check --read-data
}

# The whole of it: packs anew, a record, the RETIRE; said again it is done.
fresh
expect 0 as a "$qstore" retire --json --max-unused 0%
[ "$(field packs_repacked)" -gt 0 ] || fail 'nothing was packed anew'
[ "$(field void)" = False ] || fail 'void'
check_all
expect 0 as a "$qstore" retire --json --max-unused 0%
[ "$(field retired)" = 0 ] || fail 'retired again'
# Nothing of it is needed: also when the place has taken it away.
expect 0 as a "$qstore" check
expect 0 as a "$qstore" snapshot two
check_all

# Another machine saves, knowing nothing of it: then nothing goes.
fresh
expect 0 as b "$qstore" snapshot two # b knows the packs of a
cp -a store with-b
rm -rf store
cp -a with-b store
expect 0 as a "$qstore" retire --json --max-unused 0%
cp -a store after
# b's snapshot of what was unused, made before it saw the RETIRE.
rm -rf store
cp -a with-b store
expect 0 as b "$qstore" snapshot one two
cp -an after/. store/
rm -rf n.cache n.state
expect 0 as n "$qstore" restore latest --host b --target out3
same one out3/one
expect 0 as n "$qstore" check --read-data
# Said again it sees both.
expect 0 as a "$qstore" retire --json --max-unused 0%
[ "$(field void)" = False ] || fail 'still void'
rm -rf n.cache n.state out3
expect 0 as n "$qstore" restore latest --host b --target out3
same one out3/one

# Both at once, in whatever order it happens: and a third one that was started
# on the machine that retires.
for i in 1 2 3 4 5 6; do
	fresh
	rm -rf b.cache b.state
	cp -a whole-b.cache b.cache
	cp -a whole-b.state b.state
	as b "$qstore" snapshot one two >b.out 2>&1 </dev/null &
	b=$!
	as a "$qstore" snapshot one >a.out 2>&1 </dev/null &
	a=$!
	got=0
	as a "$qstore" retire --max-unused 0% >out 2>err </dev/null || got=$?
	last="retire beside others, round $i"
	wait "$b" || fail "b: $(cat b.out)"
	wait "$a" || fail "a: $(cat a.out)"
	# 1: this machine has saved something meanwhile.
	[ "$got" = 0 ] || { [ "$got" = 1 ] && says 'say it again'; }
	expect 0 as a "$qstore" retire --max-unused 0%
	rm -rf n.cache n.state out3 out4
	expect 0 as n "$qstore" restore latest --host b --target out3
	same one out3/one
	expect 0 as n "$qstore" restore latest --host a --target out4
	same one out4/one
	expect 0 as n "$qstore" check --read-data
done

need_shim
fresh
expect 0 as a env LD_PRELOAD="$shim" QS_FAULT_COUNT="$work/counts" "$qstore" \
	retire --max-unused 0%
total=$(sed -n 's/^any //p' counts)
[ "$total" -gt 10 ] || fail "the shim counted $total writes"
step=$(((total + 24) / 25))
for k in $({
	seq 1 "$step" "$total"
	seq $((total > 12 ? total - 12 : 1)) "$total"
} | sort -nu); do
	fresh
	got=0
	{ as a env LD_PRELOAD="$shim" QS_FAULT="kill:any:$k" "$qstore" retire \
		--max-unused 0% >out 2>err </dev/null; } 2>/dev/null || got=$?
	last="retire, killed at write $k of $total"
	[ "$got" = 137 ] || [ "$got" = 0 ] || fail "exit $got"
	check_all
	# Another machine saves on top of whatever is there now.
	rm -rf d.cache d.state
	expect 0 as d "$qstore" snapshot one
	expect 0 as a "$qstore" retire --max-unused 0% --json
	[ "$(field void)" = False ] || fail 'void'
	check_all
	rm -rf out4
	expect 0 as n "$qstore" restore latest --host d --target out4
	same one out4/one
done
echo "killed at places up to $total"

# Writes that fail, no memory: an error with a word, and nothing is lost.
for plan in write:2+ fsync:1+ link:1+ fsync:3+ link:2+ malloc:200+ \
	malloc:1000+ malloc:3000+; do
	fresh
	got=0
	as a env LD_PRELOAD="$shim" QS_FAULT="$plan" "$qstore" retire \
		--max-unused 0% >out 2>err </dev/null || got=$?
	last="retire with $plan"
	[ "$got" -lt 128 ] || fail "crashed: exit $got"
	[ "$got" = 0 ] || [ -s err ] || fail "exit $got without a word"
	check_all
done
