#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Restore never writes outside of its target, whatever lies in it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
ln -s "$work/victim" src/planted
new_store
expect 0 q snapshot src
mkdir victim
echo precious >victim/file1
chmod 700 victim
find victim -printf '%p %m %s %T@\n' >victim.before

untouched() {
	find victim -printf '%p %m %s %T@\n' >victim.after
	cmp -s victim.before victim.after || fail "written outside: $last"
	grep -q precious victim/file1 || fail "overwritten outside: $last"
}

# The target's folder is replaced by a link to elsewhere.
mkdir t1
ln -s "$work/victim" t1/docs
got=0
"$qstore" restore "latest:/src" --target t1 >out 2>err </dev/null || got=$?
last='restore over a planted folder link'
[ "$got" -lt 128 ] || fail crash
untouched

# So is a file.
mkdir -p t2/docs
ln -s "$work/victim/file1" t2/docs/file1
expect 0 q restore "latest:/src" --target t2
untouched
[ ! -L t2/docs/file1 ] || fail 'the planted link is still there'
cmp -s src/docs/file1 t2/docs/file1 || fail 'file1 is wrong'

# A hard link to a file elsewhere: replaced, not written through.
mkdir -p t3/docs
ln victim/file1 t3/docs/file1
find victim -printf '%p %m %s %T@\n' >victim.before
expect 0 q restore "latest:/src" --target t3
untouched

# --delete does not follow links.
mkdir -p t4
ln -s "$work/victim" t4/extra
expect 0 q restore "latest:/src" --target t4 --delete
untouched
[ ! -L t4/extra ] || fail 'the extra link is still there'

# A snapshot's link, then a later snapshot with a folder in its place.
expect 0 q restore "latest:/src" --target t5
rm src/planted
mkdir src/planted
echo x >src/planted/file1
expect 0 q snapshot src
expect 0 q restore "latest:/src" --target t5
untouched
same src t5

# Somebody swaps a folder for a link all the time, while restore works.
mkdir t6
(
	trap - EXIT ERR
	set +e
	while :; do
		rm -rf t6/docs
		ln -s "$work/victim" t6/docs
		rm -f t6/docs
		mkdir t6/docs
	done
) 2>/dev/null &
swapper=$!
for _ in 1 2 3 4 5; do
	got=0
	"$qstore" restore "latest:/src" --target t6 >out 2>err </dev/null ||
		got=$?
	[ "$got" -lt 128 ] || break
done
kill "$swapper"
wait "$swapper" 2>/dev/null || true
last='restore while a folder is swapped'
[ "$got" -lt 128 ] || fail crash
untouched
