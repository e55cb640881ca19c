#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# What goes wrong is said in a sentence, with the right exit code.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
expect 10 q snapshots
says "$work/store"
expect 10 q snapshot src
expect 1 q no-such-verb
says no-such-verb
expect 1 q snapshots --no-such-option
expect 1 env -u QSTORE_REPOSITORY "$qstore" snapshots
expect 1 env QSTORE_PROGRESS_FPS=banana "$qstore" snapshots
says QSTORE_PROGRESS_FPS

new_store
expect 1 q snapshot does-not-exist
says does-not-exist
expect 0 q snapshot src
expect 1 q restore deadbeef --target out1
says deadbeef
id=$(latest)
expect 1 q ls latest:/no/such/path
says "snapshot $id: /no: "
expect 1 q diff latest latest:/no/such/path
says "snapshot $id: /no: "
expect 1 q dump latest /src/nothing
says "snapshot $id: /src/nothing: "
expect 1 q restore latest:/src/nothing --target out1
says "snapshot $id: .*src/nothing"
for name in a/b .. . ''; do
	expect 1 q snapshot --stdin --stdin-filename "$name"
	says "^qstore: snapshot: --stdin-filename: \"$name\" "
done
cp -a store good

# A truncated pack, the largest one.
pack=$(find store -path '*/obj/*' -type f -printf '%s %p\n' | sort -n |
	tail -1 | cut -d' ' -f2)
truncate -s -1000 "$pack"
expect 1 q check --read-data
says "$(basename "$pack" | cut -c1-8)"
expect 3 q restore latest --target out2
rm "$pack"
expect 1 q check
says "$(basename "$pack" | cut -c1-8)"
# What the index makes of a store that was healed: 19-healed.
rm -rf store cache && cp -a good store

# Foreign files are left alone, and spoil nothing.
folder=$(dirname "$(find store -type d -name log)")
echo foreign >store/desktop.ini
echo foreign >"$folder/obj/thumbs.db"
expect 0 q snapshots
echo foreign >"$folder/keys/notes.txt"
expect 0,3 q snapshots # may be spoken of
expect 0,3 q restore latest --target out3
same src out3/src
echo foreign >"$folder/log/desktop.ini"
echo foreign >"$folder/Icon"
expect 0 q check
for file in obj/thumbs.db keys/notes.txt log/desktop.ini Icon; do
	says "^warning: $file in .* is no file of this store"
done
prints '^4 files in the store are not its own'

# A key slot that is none, beside the good ones.
head -c 2048 /dev/urandom >slot
cp slot "$folder/keys/$(b2sum -l 256 slot | cut -d' ' -f1).key"
expect 0,3 q snapshots
rm -rf store && cp -a good store

# Every slot of a later version: said so, not called damaged.
folder=$(dirname "$(find store -type d -name log)")
for slot in "$folder"/keys/*.key; do
	printf '\377' | dd of="$slot" bs=1 seek=8 conv=notrunc status=none
	mv "$slot" "$folder/keys/$(b2sum -l 256 "$slot" | cut -d' ' -f1).key"
done
got=0
"$qstore" snapshots >out 2>err </dev/null || got=$?
[ "$got" -ne 0 ] || fail 'opens slots of version 255'
last='snapshots (version 255)'
says 'newer|version|slot'
rm -rf store && cp -a good store

# A disk that fills up: a sentence; with room again all is well.
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=6m none small \
	2>/dev/null; then
	unmount+=("$work/small")
	export QSTORE_REPOSITORY=$work/small/store
	new_store
	noise full 12000000 >src/too-much
	expect 1 q snapshot src
	says '[Nn]o space|full'
	mount -o remount,size=60m small
	expect 0 q check --read-data
	expect 0 q snapshot src
	expect 0 q check --read-data
	expect 0 q restore "latest:/src" --target out4
	same src out4
else
	echo '04-errors: no tmpfs here: the full disk was left out'
fi
