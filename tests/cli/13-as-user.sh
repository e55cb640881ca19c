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

# What its owner may not write or read afterwards is whole all the same.
mkdir own own/closed
echo note >own/readonly
setfattr -n user.note -v kept own/readonly 2>/dev/null || true
echo hidden >own/hidden
ln own/hidden own/hidden2
echo deep >own/closed/deep
echo deeper >own/closed/first
ln own/closed/first own/second
chmod 444 own/readonly
chmod 000 own/hidden
chmod 311 own/closed
chown -R 65534:65534 own
expect 0 q snapshot own
chown -R 65534:65534 user
expect 0 as restore "latest:/own" --target "$work/user/out3" --verify
prints 'verified: 4 files'
same own user/out3
# Not so in a folder that is closed to its owner: that is said.
chmod 000 own/closed
expect 0 q snapshot own
chown -R 65534:65534 user
expect 3 as restore "latest:/own" --target "$work/user/out4" --verify
says 'closed/deep: restored, but not read back'
says_not 'verify'
# second is a link to first, if it came before the folder was closed.
prints 'verified: [23] files'
chmod 700 user/out4/closed
cmp -s own/closed/deep user/out4/closed/deep || fail 'deep is not whole'

# A store that may not be written says so.
chmod -R a-w user/store
echo more >src/more
expect 1 as snapshot src
says '[Pp]ermission'
expect 0 as snapshots
chmod -R u+w user/store
