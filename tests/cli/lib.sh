# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# What every scenario begins with: a fresh directory, directories of its own for
# cache and state, a passphrase, and words for what is expected.  To be sourced.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
qstore=${QSTORE_BIN:-$(command -v qstore || true)}
shim=${QS_FAULT_SHIM:-}
scenario=$(basename "$0" .sh)
[ -x "$qstore" ] || { echo "$scenario: no qstore: set QSTORE_BIN" >&2; exit 1; }
qstore=$(readlink -f "$qstore")

work=$(mktemp -d "${TMPDIR:-/tmp}/qstore-test.XXXXXXXX")
chmod 755 "$work" # 13-as-user looks in from outside
unmount=()
stop=() # processes of ours that a failure must not leave

finish() {
	local code=$? point

	trap - EXIT
	if [ "$code" -ne 0 ] && [ "$code" -ne 77 ]; then
		echo "--- $scenario failed ($code); last command: ${last:-none}"
		for file in out err; do
			[ -s "$work/$file" ] || continue
			echo "--- std$file:"
			tail -n 20 "$work/$file" | cat -v
		done
	fi
	cd /
	for point in ${stop[@]+"${stop[@]}"}; do
		kill "$point" 2>/dev/null || true
	done
	for point in ${unmount[@]+"${unmount[@]}"}; do
		umount -l "$point" || true
	done
	if [ -n "${QS_KEEP:-}" ]; then
		echo "kept: $work"
	else
		chmod -R u+rwx "$work" 2>/dev/null || true
		rm -rf "$work"
	fi
	exit "$code"
}
trap finish EXIT
trap 'echo "$scenario: line $LINENO: $BASH_COMMAND" >&2' ERR
set -E

# Nothing of the caller's own settings may reach the store under test.
for name in $(compgen -v QSTORE_ || true); do
	[ "$name" = QSTORE_BIN ] || unset "$name"
done
mkdir -p "$work/home"
export HOME=$work/home XDG_CACHE_HOME=$work/cache XDG_STATE_HOME=$work/state
export XDG_CONFIG_HOME=$work/config LC_ALL=C.UTF-8 TZ=UTC NO_COLOR=1
export QSTORE_ARGON=min # cheap slots; only for tests
export QSTORE_REPOSITORY=$work/store QSTORE_PASSWORD_FILE=$work/password
(umask 077 && echo 'correct horse battery' >"$work/password")
cd "$work"

fail() {
	echo "$scenario: $*" >&2
	trap - ERR
	exit 1
}

skip() {
	echo "$scenario: skipped: $*"
	trap - ERR
	exit 77
}

# expect CODE[,CODE] COMMAND...: runs it, its output in $work/out and $work/err.
expect() {
	local want=$1 got=0

	shift
	last=$*
	"$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
	rc=$got # for scenarios in which several codes are right
	[[ ,$want, == *,$got,* ]] || fail "exit $got, not $want: $*"
	# Whatever happens, never a crash, and never without a sentence.
	if grep -qE 'Sanitizer|runtime error' "$work/err"; then
		fail "sanitizer: $*"
	fi
	if [ "$got" -ne 0 ] && [ ! -s "$work/err" ] && [ "$1" = q ]; then
		fail "exit $got without a word: $*"
	fi
}

q() {
	"$qstore" "$@"
}

says() { # PATTERN [FILE]: the last command said so (on stderr)
	grep -qE -e "$1" "${2:-$work/err}" || fail "does not say '$1': $last"
}

says_not() {
	! grep -qE -e "$1" "${2:-$work/err}" || fail "says '$1': $last"
}

prints() { # PATTERN: on stdout
	says "$1" "$work/out"
}

new_store() {
	expect 0 q init --no-confirm "$@"
}

# A small tree of several kinds of files, the same bytes each time.
small_tree() { # DIR
	mkdir -p "$1/docs/deep/er" "$1/empty"
	for i in 1 2 3 4 5; do
		noise "file $i" $((i * 3000)) >"$1/docs/file$i"
	done
	noise big 3000000 >"$1/big.bin"
	seq 20000 >"$1/numbers.txt"
	: >"$1/zero"
	echo hello >"$1/docs/deep/er/hello.txt"
	ln -s ../numbers.txt "$1/docs/link"
	ln "$1/numbers.txt" "$1/docs/hard"
	chmod 600 "$1/docs/file1"
	touch -d '2001-02-03 04:05:06.789' "$1/docs/file2"
}

noise() { # SEED LENGTH: incompressible bytes, the same for the same seed
	/usr/bin/python3 -c '
import hashlib, sys
sys.stdout.buffer.write(hashlib.shake_256(sys.argv[1].encode()).digest(
    int(sys.argv[2])))' "$1" "$2"
}

# same A B: the trees are equal in all that a tree has; a second opinion by
# rsync where that is there.
same() {
	/usr/bin/python3 "$here/same_tree.py" "$1" "$2" >"$work/same" 2>&1 || {
		head -20 "$work/same" >&2
		fail "$1 and $2 differ"
	}
}

same_rsync() { # A B [RSYNC OPTION...]
	local a=$1 b=$2

	shift 2
	command -v rsync >/dev/null || return 0
	rsync -aHAXn --checksum --delete -i "$@" "$a/" "$b/" >"$work/same" 2>&1 ||
		fail "rsync: $(head -3 "$work/same")"
	# The two folders themselves are the caller's.
	sed -i '\| \./$|d' "$work/same"
	[ ! -s "$work/same" ] || fail "rsync sees: $(head -5 "$work/same")"
}

# The id of the newest snapshot, 8 digits.
latest() {
	q snapshots --json | /usr/bin/python3 -c '
import json, sys
print(sorted(json.load(sys.stdin), key=lambda s: s["time"])[-1]["short_id"])'
}

count_snapshots() {
	q snapshots --json | /usr/bin/python3 -c \
		'import json, sys; print(len(json.load(sys.stdin)))'
}

need_root() {
	[ "$(id -u)" = 0 ] || skip 'needs root'
}

need() {
	for name in "$@"; do
		command -v "$name" >/dev/null || skip "needs $name"
	done
}

need_fuse() {
	[ -c /dev/fuse ] || skip 'needs /dev/fuse'
	[ "$(id -u)" = 0 ] || need fusermount3
}

# wait_for CONDITION: at most a minute, so that a slow machine is no failure.
wait_for() {
	for _ in $(seq 600); do
		if eval "$1"; then return; fi
		sleep 0.1
	done
	fail "waited in vain for: $1"
}

# faulty PLAN COMMAND...: with the shim; not under the sanitizers, which insist
# on being loaded first.
need_shim() {
	[ -e "$shim" ] || skip "needs QS_FAULT_SHIM"
	[ -z "${QS_SANITIZED:-}" ] || skip 'the shim and sanitizers do not mix'
}

faulty() {
	local plan=$1

	shift
	LD_PRELOAD=$shim QS_FAULT=$plan "$qstore" "$@"
}
