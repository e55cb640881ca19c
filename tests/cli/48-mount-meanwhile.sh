#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# What goes on while it is mounted: a store that is being copied, and another
# process that holds the index.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_fuse
small_tree src
mkdir mnt
new_store
expect 0 q snapshot src

mount_in_front() { # OPTION...
	: >front
	"$qstore" mount -f "$@" mnt >front 2>&1 &
	pid=$!
	wait_for "grep -q mounted front"
	unmount=("$work/mnt")
}

end() {
	kill $pid
	wait $pid || fail "exit $?: $(tail -3 front)"
	unmount=()
}

elsewhere() {
	XDG_CACHE_HOME=$work/cache2 XDG_STATE_HOME=$work/state2 q "$@"
}

# The log is copied first, then the objects: no other record is needed.
cp -a store copy
noise more 3000000 >src/more
expect 0 q snapshot src
QSTORE_REPOSITORY=$work/copy mount_in_front
ls mnt/latest/src >/dev/null
cp -a store/*/log/. copy/*/log/
wait_for '[ "$(ls mnt/snapshots | wc -l)" = 2 ]'
expect 1 cat mnt/latest/src/more
says 'Input/output error'
cp -a store/*/obj/. copy/*/obj/
wait_for 'cmp -s src/more mnt/latest/src/more'
end

# Another process writes the index for a long time: who reads does not wait.
noise big 8000000 >src/more
expect 0 q snapshot src
mount_in_front
seq 10 >src/later
expect 0 elsewhere snapshot src
/usr/bin/python3 - cache/qstore/*/index.sqlite <<'P' &
import os, sqlite3, sys, time
base = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
base.execute("BEGIN IMMEDIATE")
open("held", "w").close()
while os.path.exists("held") and not os.path.exists("let-go"):
    time.sleep(0.1)
base.execute("ROLLBACK")
P
writer=$!
wait_for '[ -e held ]'
before=$(ls mnt/snapshots | tail -1)
sleep 1.1 # the log is looked at again
ls mnt/snapshots >/dev/null
expect 0 timeout 20 cmp "mnt/snapshots/$before/src/more" src/more
! grep -qE 'not answered|in use' front || fail "it is told: $(cat front)"
touch let-go
wait $writer
wait_for 'cmp -s src/later mnt/latest/src/later'
end
