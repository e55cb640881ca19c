#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Clients and hubs are killed at random while four write, into folders of their
# own and as machines of one: what was acknowledged is there byte for byte,
# nothing half-written is to be seen.  QS_TEST_KILLS: how often.
# A disk that is full is said so, loses nothing, and tidy makes room on it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

hub=$(dirname "$qstore")/qstore-hub
[ -x "$hub" ] || skip 'needs qstore-hub'
export QSTORE=$qstore PYTHONDONTWRITEBYTECODE=1
expect 0 /usr/bin/python3 "$here/53_kills.py" "${QS_TEST_KILLS:-20}" \
	"${QS_TEST_SEED:-$RANDOM$RANDOM}"
cat out

# ------------------------------------------------------------ a full disk
[ "$(id -u)" = 0 ] || exit 0
mkdir disk
mount -t tmpfs -o size=20m none disk 2>/dev/null || exit 0
unmount+=("$work/disk")
mkdir disk/photos old new much
small_tree new
noise old 6000000 >old/old
noise much 30000000 >much/much
export QSTORE_REPOSITORY="exec:exec $qstore serve --store $work/disk/photos"
expect 0 q init --no-confirm --no-recovery
expect 0 q snapshot old
expect 0 q snapshot new
whole() {
	rm -rf back
	expect 0 q restore latest --path "$work/new" --target back
	same new back/new
	expect 0 "$qstore" scrub --full "$work/disk/photos"
}

expect 1 q snapshot much
says '[Nn]o space left'
[ "$(grep -c . err)" = 1 ] || fail "several sentences: $(cat err)"
whole

# It goes on when there is room.
mount -o remount,size=80m "$work/disk"
expect 0 q snapshot much
whole
expect 0 q forget --path "$work/much" --keep-last 1
expect 0 q forget --unsafe-allow-remove-all --path "$work/much"
expect 0 q forget --unsafe-allow-remove-all --path "$work/old"
expect 0 q retire --max-unused 0%

# Full to the last byte: what was retired goes all the same.
dd if=/dev/zero of=disk/filler bs=64k 2>/dev/null || true
[ "$(stat -f -c %a disk)" = 0 ] || fail 'the disk is not full'
expect 1 q snapshot old
says '[Nn]o space left'
expect 0 "$qstore" tidy --trash-days 0 --purge-days 0 --share 100 \
	"$work/disk/photos"
prints '[1-9][0-9]* put into the trash'
expect 0 "$qstore" tidy --trash-days 0 --purge-days 0 --share 100 \
	"$work/disk/photos"
prints ', [1-9][0-9]* removed'
[ "$(stat -f -c %a disk)" -gt 5000 ] || fail 'nothing was freed'
noise small 1000000 >new/small
expect 0 q snapshot new
whole
expect 0 q check --read-data
