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
# Not even root, unless asked for.
expect 2 ls user/mnt
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
