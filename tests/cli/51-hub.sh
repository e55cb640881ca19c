#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Every command by every way to a hub: what it prints is what it prints of the
# hub's folder as a plain directory, on one connection each.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

hub=$(dirname "$qstore")/qstore-hub
[ -x "$hub" ] || skip 'needs qstore-hub'
bin=$work/bin
started=$work/started
listener=
mkdir -p "$bin" "$HOME/qstore" "$XDG_CONFIG_HOME/qstore"
ln -s "$qstore" "$bin/qstore"
export PATH=$bin:$(dirname "$qstore"):$PATH

program() { # NAME: from standard input; each start of it is counted
	{
		echo '#!/bin/sh'
		echo "echo $1 \"\$@\" >>'$started'"
		cat
	} >"$bin/$1"
	chmod 755 "$bin/$1"
}

# The other end of each way, as docs/HUB.md sets it up.
program server <<'E'
exec qstore serve --store "$1"
E
program ssh <<'E'
for word; do :; done
exec sh -c "$word"
E
program qrexec-client-vm <<E
[ "\$1" = sys-qstore ] || exit 126
QREXEC_REMOTE_DOMAIN=photos QREXEC_SERVICE_FULL_NAME=\$2 \\
	QREXEC_SERVICE_ARGUMENT=\${2#*+} exec sh '$here/../../qubes/serve.sh'
E
(umask 077 && cat >"$XDG_CONFIG_HOME/qstore/acl.conf") <<E
# principal   folder   mode
qube:photos   byqrexec rw  connections=8
user:$(id -u) byunix   rw
E

# The command of a way, which makes one connection; init looks first whether there
# is a folder, and last whether the new one can be opened like any other.
r() { # COMMAND [WORD...]
	: >"$started"
	expect "${want:-0}" q -r "$url" "$@"
	if [ "$way" != byunix ]; then
		[ "$(grep -c . "$started")" = "${connections:-1}" ] ||
			fail "$way: $(grep -c . "$started") connections: $1"
	fi
}

# The same of the hub's folder as a directory, by a machine of its own; what
# differs is the store's place.
direct() {
	XDG_CACHE_HOME=$work/direct.cache q -r "$folder" "$@"
}

alike() { # COMMAND [WORD...]
	r "$@"
	direct "$@" >"$work/other" 2>"$work/other.err" </dev/null ||
		fail "on the directory: $*: $(cat other.err)"
	cmp -s "$work/out" "$work/other" ||
		fail "$way: $* differs: $(diff "$work/out" "$work/other" | head -5)"
}

read_all() {
	alike snapshots
	alike snapshots --json
	alike ls latest
	alike ls -l latest
	alike ls --json latest
	alike find '*.txt'
	alike find --json 'file*'
	alike diff latest~1 latest
	alike dump latest /src/numbers.txt
	alike dump latest /src/docs
	alike check
	alike check --read-data
	alike stats
	alike stats --mode raw-data
	alike stats --json --mode files-by-contents
	alike key list
	alike key list --json
}

restore_both() { # the same, and the same as what was saved
	rm -rf back back.direct
	r restore latest --target "$work/back"
	same src back/src
	direct restore latest --target "$work/back.direct" >other 2>&1 </dev/null ||
		fail "restore of the directory: $(cat other)"
	same back back.direct
}

mounted() {
	mkdir -p mnt
	: >"$started"
	expect 0 q -r "$url" mount mnt
	unmount+=("$work/mnt")
	same src mnt/latest/src
	grep -q 19999 mnt/latest/src/numbers.txt || fail 'the mount reads nothing'
	ls mnt/latest/src/docs >"$work/listed"
	expect 0 q umount mnt
	unmount=()
	[ "$way" = byunix ] || [ "$(grep -c . "$started")" = 1 ] ||
		fail "$way: $(grep -c . "$started") connections of a mount"
}

keys() {
	r key add --new-password-file second --label second
	QSTORE_PASSWORD_FILE=$work/second r snapshots
	r key passwd --password-file second --new-password-file third
	want=12 QSTORE_PASSWORD_FILE=$work/second r snapshots
	QSTORE_PASSWORD_FILE=$work/third r snapshots
	r key list --json
	id=$(/usr/bin/python3 -c '
import json, sys
print([k["id"] for k in json.load(open(sys.argv[1]))
       if k.get("label") == "second"][0])' out)
	r key remove "$id"
	want=12 QSTORE_PASSWORD_FILE=$work/third r snapshots
	alike key list
}

# Where the kernel's keyring is to be had.
unlocked() {
	q -r "$url" unlock --timeout 1m >out 2>err </dev/null || return 0
	(
		unset QSTORE_PASSWORD_FILE
		r snapshots
		r lock
		want=1,12 r snapshots
	)
}

forgotten() {
	local first

	first=$(direct snapshots --json </dev/null | /usr/bin/python3 -c '
import json, sys
print(sorted(json.load(sys.stdin), key=lambda s: s["time"])[0]["short_id"])')
	r tag --add keep "$first"
	alike snapshots --tag keep
	r forget "$first"
	alike snapshots
	r undelete "$first"
	alike snapshots
	r forget --keep-last 1 --group-by host
	r retire --max-unused 0%
	prints 'retired [1-9]'
	r snapshots
	alike check --read-data
	restore_both
}

echo 'another passphrase of mine' >second
echo 'a new passphrase for me' >third

whole() { # WAY URL
	way=$1 url=$2 folder=$HOME/qstore/$1
	rm -rf src
	mkdir -p "$folder"
	small_tree src
	want=10 r snapshots
	says 'create one with: qstore init'
	connections=3 r init --no-confirm
	r snapshot src
	noise "more of $way" 200000 >src/more
	rm src/docs/file3
	r snapshot src --tag second
	read_all
	restore_both
	mounted
	keys
	unlocked
	forgotten
	# What lies there is a plain store: names, no plaintext, nothing else.
	expect 0 "$qstore" scrub --full "$folder"
	[ -z "$(find "$folder" -name '*tmp*' -o -name '.*' -type f)" ] ||
		fail 'something unfinished is left'
	if /usr/bin/python3 -c 'import nacl, zstandard' 2>/dev/null; then
		rm -rf read
		expect 0 /usr/bin/python3 "$here/../reader/qstore_read.py" \
			--password-file password "$folder" restore latest read
		same src read/src
	fi
}

whole byexec "exec:server $HOME/qstore/byexec"
whole byssh "ssh://nas.local$HOME/qstore/byssh"
whole byqrexec qrexec://sys-qstore/byqrexec
expect 0 q status --json
/usr/bin/python3 - out <<'P' || fail 'status'
import json, sys
names = {s["name"]: s for s in json.load(open(sys.argv[1]))}
assert set(names) == {"byexec", "byssh", "byqrexec"}, names
assert all(s["records"] > 3 and s["refused"] == 0 for s in names.values()), names
P

# A listener, a process for each call; it ends with SIGTERM and its socket too.
"$qstore" serve --listen "$work/socket" >listener 2>&1 </dev/null &
listener=$!
stop+=($listener)
wait_for '[ -S "$work/socket" ]'
whole byunix "unix:$work/socket#byunix"
kill "$listener"
wait "$listener" || fail "the listener: $(cat listener)"
[ ! -e "$work/socket" ] || fail 'the socket is left'
expect 1 q -r "unix:$work/socket#byunix" snapshots
says 'no hub listens'
