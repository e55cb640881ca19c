#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A folder of objects that can't be read costs what is in it: a machine without
# an index restores the rest, and nothing is saved on a guess.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

machines=0
fresh() {
	machines=$((machines + 1))
	XDG_CACHE_HOME=$work/fresh$machines.cache \
		XDG_STATE_HOME=$work/fresh$machines.state "$qstore" "$@"
}

new_store
mkdir src
for i in 1 2 3; do
	noise "$i" 100000 >"src/$i"
	expect 0 q snapshot src
done
# The first snapshot's pack, with the file 1 and a tree: a file in its folder's
# place is what no one can look into.
find store -path '*/obj/*' -type f -printf '%T@ %h\n' | sort -n |
	cut -d' ' -f2 >shards
shard=$(head -1 shards)
[ "$shard" != "$(tail -1 shards)" ] ||
	skip 'two objects are in one folder, by chance'
mv "$shard" away
touch "$shard"
expect 1,3 fresh restore latest:/src --target back
says 'Not a directory'
[ ! -e back/1 ] || fail 'a file without its object'
cmp src/3 back/3
expect 0,3 fresh snapshots
expect 1,3 fresh ls "latest~2"
# This machine's index knows of the object: nothing is taken for granted.
objects=$(find store -path '*/obj/*' -type f | wc -l)
expect 1 q snapshot src
says "can't be (looked for|told)"
says 'Not a directory'
[ "$(find store -path '*/obj/*' -type f | wc -l)" = "$objects" ] ||
	fail 'something is saved'
expect 1 q check
rm "$shard"
mv away "$shard"
expect 0 q check --read-data
expect 0 q snapshot src
expect 0 fresh restore latest:/src --target back2
same src back2

# The same for a folder that another user made and locked.
need_root
command -v setpriv >/dev/null || exit 0
chmod 0 "$shard"
chmod -R a+rX "$work" 2>/dev/null
chmod 0 "$shard"
mkdir guest && chmod 777 guest
cp "$qstore" guest/bin-qstore # the build may lie where nobody may go
as_guest() {
	HOME=$work/guest XDG_CACHE_HOME=$work/guest/c \
		XDG_STATE_HOME=$work/guest/s \
		setpriv --reuid=65534 --regid=65534 --clear-groups guest/bin-qstore "$@"
}
expect 1,3 as_guest restore latest:/src --target guest/back
says 'Permission denied'
cmp src/3 guest/back/3
expect 1 as_guest check
says 'Permission denied'
prints 'checked 4 snapshots'
