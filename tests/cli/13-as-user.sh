#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A user without rights saves and restores what is theirs.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_root
need setpriv
small_tree src
chown -R 65534:65534 src home password
mkdir user
chown 65534:65534 user
export QSTORE_REPOSITORY=$work/user/store XDG_CACHE_HOME=$work/user/cache
export XDG_STATE_HOME=$work/user/state XDG_CONFIG_HOME=$work/user/config
bin=$work/user/bin-qstore
cp "$qstore" "$bin" # the build may lie where nobody may go
chmod 755 "$bin"
as() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$bin" "$@"
}
expect 0 as init --no-confirm
expect 0 as snapshot src
expect 0 as restore "latest:/src" --target "$work/user/out1"
same src user/out1
expect 0 as check --read-data

# Keys that may reach the swap: said once by whatever takes a key, but with -q,
# which is for jobs that nobody reads.
if [ -z "${QS_SANITIZED:-}" ]; then # those lock no memory at all
	little() {
		(ulimit -l 0 && as "$@")
	}
	expect 0 as snapshots
	says_not swap
	expect 0 little snapshots
	says '^warning: .*ulimit -l.*swap'
	[ "$(grep -c swap err)" = 1 ] || fail 'says it more than once'
	expect 0 little --json snapshots
	says '^\{"message_type":"error".*swap'
	expect 0 little -q snapshots
	says_not swap
	expect 0 little version
	says_not swap
	expect 0 little -r "$work/user/other" init --no-confirm --no-recovery
	says swap
fi

# What belongs to others: exit 3, the rest is saved.
echo secret >src/private
chmod 600 src/private
mkdir -m 700 src/closed
expect 3 as snapshot src/private src/zero
says '1 file could not be read in full; the snapshot lacks it'
expect 3 as snapshot src
says private
says closed
says '2 files could not be read in full; the snapshot lacks them'
expect 0 as restore "latest:/src" --target "$work/user/out2"
cmp -s src/big.bin user/out2/big.bin || fail 'the rest is not there'

# Nothing of it may be read by others.
mode=$(stat -c %a user/state/qstore)
[ "$mode" = 700 ] || fail "state is $mode"
mode=$(stat -c %a user/cache/qstore)
[ "$mode" = 700 ] || fail "cache is $mode"

# A store that may not be written says so.
chmod -R a-w user/store
echo more >src/more
expect 1 as snapshot src
says '[Pp]ermission'
expect 0 as snapshots
chmod -R u+w user/store
