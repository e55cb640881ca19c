#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# restore --delete deletes what the snapshot would have had, had it been there;
# never what a snapshot has not looked at.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

new_store
mkdir -p src/plain src/cache/deep
echo a >src/plain/a
printf 'Signature: 8a477f597d28d172789f06886806bc55' >src/cache/CACHEDIR.TAG
echo kept >src/cache/deep/kept
expect 0 q snapshot --exclude-caches src
echo extra >src/plain/extra
echo extra >beside
expect 3 q restore latest:/src --target src --delete
[ ! -e src/plain/extra ] || fail 'what was not there is left'
[ -e src/cache/deep/kept ] || fail 'a cache that was left out is deleted'
says '/src/cache/deep: is not deleted.*not all'
says_not '/src/plain'
# The folders on the way to what was named.
mkdir -p over/src
echo mine >over/mine
echo extra >over/src/extra
expect 3 q restore latest --target over --delete
says '/mine: is not deleted'
[ -e over/mine ] || fail 'what lies beside the targets is deleted'
[ ! -e over/src/extra ] || fail 'what was not there is left'
expect 0 q snapshot "$work/src/plain"
mkdir -p "over2$work/src/other"
echo extra >"over2$work/src/plain"
rm "over2$work/src/plain"
expect 3 q restore latest --target over2 --delete
[ -d "over2$work/src/other" ] || fail 'a folder beside a target is deleted'
# What patterns and the size have left out is in no store.
mkdir -p left/sub left/plain
echo t >left/note.tmp
echo a >left/a
head -c 20000 /dev/zero >left/sub/large
expect 0 q snapshot --exclude '*.tmp' --exclude-larger-than 10K left
echo extra >left/plain/extra
expect 3 q restore latest:/left --target left --delete
[ -e left/note.tmp ] || fail 'what a pattern left out is deleted'
[ -e left/sub/large ] || fail 'what was too large is deleted'
[ ! -e left/plain/extra ] || fail 'what was not there is left'
says '/note.tmp: is not deleted'
# Where nothing is spared, nothing is said.
expect 0 q restore latest --target over3
expect 0 q restore latest --target over3 --delete

if command -v setpriv >/dev/null && [ "$(id -u)" = 0 ]; then
	# What could not be opened, or read.
	mkdir -m 777 guest
	cp "$qstore" guest/bin-qstore # the build may lie where nobody may go
	as() {
		HOME=$work/guest XDG_CACHE_HOME=$work/guest/c \
			XDG_STATE_HOME=$work/guest/s QSTORE_REPOSITORY=$work/guest/store \
			setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
	}
	chmod 644 password
	as mkdir -p guest/src/locked guest/src/d guest/src/open
	as touch guest/src/locked/mine guest/src/d/mine guest/src/d/other \
		guest/src/open/x
	echo mine >guest/src/d/mine
	chmod 000 guest/src/locked guest/src/d/mine
	expect 0 as guest/bin-qstore init --no-confirm --no-recovery
	expect 3 as guest/bin-qstore snapshot guest/src
	chmod 755 guest/src/locked
	chmod 644 guest/src/d/mine
	as touch guest/src/open/extra
	expect 3 as guest/bin-qstore restore latest:/guest/src \
		--target guest/src --delete
	[ -e guest/src/locked/mine ] || fail 'a folder not opened is emptied'
	[ -e guest/src/d/mine ] || fail 'a file not read is deleted'
	[ ! -e guest/src/open/extra ] || fail 'what was not there is left'
	# Once it can be read it is like any other; restore gave it its mode.
	chmod 755 guest/src/locked
	expect 0 as guest/bin-qstore snapshot guest/src
	as touch guest/src/locked/extra guest/src/d/extra
	expect 0 as guest/bin-qstore restore latest:/guest/src \
		--target guest/src --delete
	[ ! -e guest/src/locked/extra ] || fail 'what was not there is left'
	[ ! -e guest/src/d/extra ] || fail 'what was not there is left'
fi

# Mount points: left out of the snapshot, and met by restore.
[ "$(id -u)" = 0 ] || exit 0
mkdir -p tree/mnt tree/later
echo a >tree/a
mount -t tmpfs none tree/mnt 2>/dev/null || skip 'cannot mount here'
unmount+=("$work/tree/mnt")
echo live >tree/mnt/live
expect 0 q snapshot -x tree
expect 3 q restore latest:/tree --target tree --delete
[ -e tree/mnt/live ] || fail 'a mount that was left out is emptied'
says '/tree/mnt/live: is not deleted'
mount -t tmpfs none tree/later
unmount+=("$work/tree/later")
echo live >tree/later/live
expect 3 q restore latest:/tree --target tree --delete
[ -e tree/later/live ] || fail 'a file system mounted later is emptied'
says '/tree/later/live: is not deleted.*another file system'
expect 3 q restore latest:/tree --target tree --delete --dry-run
# The second reader takes such trees.
/usr/bin/python3 -c 'import nacl, zstandard' 2>/dev/null || exit 0
expect 0 /usr/bin/python3 "$here/../reader/qstore_read.py" \
	--password-file "$QSTORE_PASSWORD_FILE" store restore latest back
cmp tree/a back/tree/a
