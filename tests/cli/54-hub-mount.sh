#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A mount of a hub: it outlives its hub's end and restart, shows what comes
# meanwhile, and its end is its hub's end, too.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_fuse
hub=$(dirname "$qstore")/qstore-hub
[ -x "$hub" ] || skip 'needs qstore-hub'
store=$HOME/qstore/photos
mkdir -p "$store" mnt "$XDG_CONFIG_HOME/qstore"
(umask 077 && echo "user:$(id -u) photos rw" >"$XDG_CONFIG_HOME/qstore/acl.conf")
small_tree src
noise 'read later' 9000000 >src/later.bin
listener=

# A killed listener leaves its socket: that it is there says nothing.
listens() {
	/usr/bin/python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$work/socket" 2>/dev/null
}

listen() {
	"$qstore" serve --listen "$work/socket" >>listener 2>&1 </dev/null &
	listener=$!
	stop+=($listener)
	wait_for listens
}

# The processes that serve this scenario's folder.
hubs() {
	local pid

	for pid in $(pgrep -x qstore-hub || true); do
		! { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null |
			grep -qF "$work" || echo "$pid"
	done
}

kill_hubs() { # those that serve, and the listener
	local pid

	for pid in $(hubs); do
		kill -9 "$pid" 2>/dev/null || true
	done
	wait_for '[ -z "$(hubs)" ]'
}

one() { # URL
	local pid readers=()

	export QSTORE_REPOSITORY=$1
	rm -rf "$XDG_CACHE_HOME"
	expect 0 q mount --timeout 10s mnt
	unmount+=("$work/mnt")
	# Nothing of what is read later is in its memory.
	cmp src/docs/file1 mnt/latest/src/docs/file1 || fail 'it reads nothing'
	[ -n "$(hubs)" ] || fail 'no hub serves the mount'

	# Killed, and there again: reads go on, many at once.
	rm -rf "$XDG_CACHE_HOME"
	kill_hubs
	[ "$2" != listened ] || { wait "$listener" 2>/dev/null || true; listen; }
	sync
	echo 2 >/proc/sys/vm/drop_caches 2>/dev/null || true
	for file in later.bin big.bin numbers.txt docs/file5 docs/file4; do
		cat "mnt/latest/src/$file" >"read.${file##*/}" &
		readers+=($!)
	done
	for pid in "${readers[@]}"; do
		wait "$pid" || fail 'a read after the restart'
	done
	for file in later.bin big.bin numbers.txt docs/file5 docs/file4; do
		cmp "src/$file" "read.${file##*/}" || fail "$file differs"
	done
	same src mnt/latest/src

	# What another machine saves appears.
	sleep 1.1
	echo "$1" >src/new
	expect 0 env XDG_CACHE_HOME="$work/other.cache" XDG_STATE_HOME="$work/other.state" \
		QSTORE_REPOSITORY="$store" "$qstore" snapshot src
	wait_for '[ -e mnt/latest/src/new ] && cmp -s src/new mnt/latest/src/new'
	expect 0 q umount mnt
	unmount=()
	if [ "$2" = listened ]; then
		kill "$listener"
		wait "$listener" || fail "the listener: $(cat listener)"
	fi
	wait_for '[ -z "$(hubs)" ]'
}

expect 0 q -r "$store" init --no-confirm --no-recovery
expect 0 q -r "$store" snapshot src
one "exec:exec $qstore serve --store $store" started
listen
one "unix:$work/socket#photos" listened
