#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A user without rights mounts through fusermount3 and reads all of it, whoever
# the files belonged to; others see nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_root
need_fuse
need setpriv fusermount3
if [ "$(stat -c %a /dev/fuse)" != 666 ] && [ -z "${QS_INNER:-}" ]; then
	# As it is everywhere else, for this scenario alone.
	mknod -m 666 fuse c 10 229
	QSTORE_BIN=$qstore QS_INNER=1 unshare -m bash -c "mount --bind '$work/fuse' /dev/fuse &&
		bash '$here/$scenario.sh'"
	exit
fi
small_tree src
echo secret >src/closed
chmod 000 src/closed
chown 12345:12345 src/docs/file2
new_store
expect 0 q snapshot src
mkdir user user/mnt
cp password user/password
cp "$qstore" user/bin-qstore
chown -R 65534:65534 user store
chmod 755 user/bin-qstore
as() {
	setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$work/user" \
		XDG_CACHE_HOME="$work/user/cache" XDG_STATE_HOME="$work/user/state" \
		QSTORE_PASSWORD_FILE="$work/user/password" "$@"
}
expect 0 as user/bin-qstore mount user/mnt
unmount+=("$work/user/mnt")
expect 0 as cat user/mnt/latest/src/closed
prints secret
expect 0 as stat -c '%u %a' user/mnt/latest/src/docs/file2
prints '^65534 '
expect 0 as cmp src/big.bin user/mnt/latest/src/big.bin
# Not even root, unless asked for; who saves that home leaves it out.
expect 2 ls user/mnt
expect 0 q snapshot user --exclude state --exclude cache
expect 0 q ls latest
prints '/password$'
says_not '/mnt' "$work/out"
expect 0 q snapshot src
expect 0 as user/bin-qstore umount user/mnt
unmount=()
expect 0 as user/bin-qstore mount --owner stored user/mnt
unmount+=("$work/user/mnt")
expect 0 as stat -c '%u %a' user/mnt/latest/src/docs/file2
prints '^12345 '
expect 0 as user/bin-qstore umount user/mnt
unmount=()
if ! grep -q '^user_allow_other' /etc/fuse.conf 2>/dev/null; then
	expect 1 as user/bin-qstore mount --allow-other user/mnt
	says user_allow_other
fi

# Root lets others in: as modes and ACLs allow.
mkdir mnt
expect 0 q mount --allow-other mnt
unmount+=("$work/mnt")
expect 0 as cat mnt/latest/src/numbers.txt
expect 1 as cat mnt/latest/src/closed
says 'Permission denied'
expect 1 as cat mnt/latest/src/docs/file1
expect 0 q umount mnt
unmount=()

# Owners replaced: nobody gets more than everybody had.
if command -v setfacl >/dev/null; then
	mkdir shared shared/dir
	for file in named denied group grouped open dir/file; do
		echo text >"shared/$file"
	done
	chown -R 2001:100 shared
	chmod 600 shared/named
	chmod 644 shared/denied
	chmod 640 shared/group
	chmod 604 shared/grouped
	if setfacl -m u:2002:rw shared/named 2>/dev/null; then
		setfacl -m u:2003:--- shared/denied
		setfacl -m g:2003:--x shared/dir
		expect 0 q snapshot shared
		expect 0 q mount --allow-other --owner mine mnt
		unmount+=("$work/mnt")
		look() { # UID GID FILE
			setpriv --reuid "$1" --regid "$2" --clear-groups \
				cat "mnt/latest/shared/$3"
		}
		for file in named group; do
			expect 1 look 2004 0 $file
			says 'Permission denied'
		done
		expect 1 look 2003 2003 denied
		says 'Permission denied'
		expect 1 look 2003 100 grouped
		says 'Permission denied'
		expect 0 look 2004 0 open
		expect 0 look 2004 2004 dir/file
		expect 0 look 0 0 named
		expect 2 setpriv --reuid 2003 --regid 2003 --clear-groups \
			ls mnt/latest/shared/dir
		expect 0 q umount mnt
		unmount=()
		# What is above is not shown, so it must have let everybody pass.
		setfacl -m u:2003:--- shared/dir
		mkdir shared/dir/sub
		expect 0 q snapshot shared
		expect 1 q mount --allow-other --snapshot latest:/shared/dir/sub mnt
		says 'not open to others'
	fi
fi

# Also when only what is below a closed folder is shown.
mkdir -m 700 src/priv
mkdir src/priv/sub
echo open >src/priv/file
echo open >src/priv/sub/file
chown -R 12345:12345 src/priv
touch -d '2001-02-03 04:05:06' src/priv
expect 0 q snapshot src
expect 0 q mount --allow-other --snapshot latest:/src/priv mnt
unmount+=("$work/mnt")
expect 0 stat -c '%u %a %Y' mnt
prints "^12345 700 $(stat -c %Y src/priv)\$"
expect 1 as cat mnt/file
says 'Permission denied'
expect 0 q umount mnt
unmount=()
expect 1 q mount --allow-other --snapshot latest:/src/priv/sub mnt
says 'not open to others'

# By way of a symlink, too; and a mount is not saved into the next snapshot.
ln -s mnt link
expect 0 q mount link
expect 0 q umount link
mkdir src/inner
expect 0 q mount src/inner
unmount+=("$work/src/inner")
expect 0 q snapshot src
expect 0 q ls latest
says_not '/inner/' "$work/out"
prints '/inner$'
expect 0 q umount src/inner
unmount=()
