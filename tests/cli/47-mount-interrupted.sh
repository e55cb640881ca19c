#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Interrupted while it starts, a mount is not made or is taken down again; who
# interrupts the process in front interrupts the one that goes on.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_fuse
small_tree src
mkdir mnt
new_store
expect 0 q snapshot src

is_mounted() {
	grep -q " $work/mnt " /proc/mounts
}

# In front, while the one behind waits for the passphrase.
cat >ask <<'P'
#!/bin/sh
while [ ! -e go ]; do sleep 0.1; done
cat password
P
chmod +x ask
env -u QSTORE_PASSWORD_FILE QSTORE_PASSWORD_COMMAND="sh $work/ask" \
	"$qstore" mount mnt >front 2>&1 &
pid=$!
unmount=("$work/mnt")
wait_for 'grep -qs "^PPid:[[:space:]]*$pid\$" /proc/[0-9]*/status'
kill -TERM $pid
touch go
code=0
wait $pid || code=$?
[ $code = 130 ] || fail "exit $code: $(cat front)"
! is_mounted || fail 'it is mounted all the same'
unmount=()

# Right before the mount point is looked at, and right before it is mounted.
need_root
need_shim
for when in 1 2; do
	unmount=("$work/mnt")
	expect 130 faulty term:mount:$when mount -f mnt
	says interrupted
	says_not . out
	! is_mounted || fail "it is mounted still ($when)"
	unmount=()
	expect 130 faulty term:mount:$when mount mnt
	! is_mounted || fail "it is mounted still ($when)"
done
