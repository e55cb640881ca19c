#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# unlock keeps the key in the kernel for a while; lock forgets it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
new_store
got=0
"$qstore" unlock --timeout 1m >out 2>err </dev/null || got=$?
if [ "$got" -ne 0 ]; then
	grep -qiE 'keyring|permitted|implemented|denied' err &&
		skip "the kernel's keyring refuses: $(head -1 err)"
	last=unlock
	fail "exit $got"
fi
unset QSTORE_PASSWORD_FILE
expect 0 q snapshot src
expect 0 q snapshots
expect 0 q lock
got=0
"$qstore" snapshots >out 2>err </dev/null || got=$?
last='snapshots after lock'
[ "$got" -ne 0 ] || fail 'still open'
expect 1 q unlock --password-file password --timeout banana
expect 0 q unlock --password-file password --timeout 1s
sleep 2.5
got=0
"$qstore" snapshots >out 2>err </dev/null || got=$?
last='snapshots after the timeout'
[ "$got" -ne 0 ] || fail 'still open'
