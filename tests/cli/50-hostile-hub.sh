#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A hub that is hostile or just broken: qstore says so in a sentence of plain
# text, in time, with its exit code, and restores nothing that is wrong.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

hub=${QSTORE_HUB_BIN:-$(dirname "$qstore")/qstore-hub}
[ -x "$hub" ] || skip 'needs qstore-hub'
hub=$(readlink -f "$hub")

# serves NAME COMMANDS: a script that is the hub from now on.
serves() {
	printf '#!/bin/sh\nhub=%s\nwork=%s\n%s\n' "$hub" "$work" "$2" \
		>"hub-$1"
	chmod +x "hub-$1"
	export QSTORE_REPOSITORY="exec:$work/hub-$1"
}

# A hub that works for so many bytes of answers, and then stays or goes.
cat >partly.py <<'END'
import os, subprocess, sys, time

left = int(sys.argv[1])
hub = subprocess.Popen(sys.argv[3:], stdout=subprocess.PIPE)
while left > 0:
    got = os.read(hub.stdout.fileno(), left)
    if not got:
        break
    left -= len(got)
    while got:
        got = got[os.write(1, got):]
if sys.argv[2] == 'hang':
    time.sleep(30)
hub.kill()
END

partly() { # NAME BYTES go|hang
	serves "$1" "exec /usr/bin/python3 \"\$work/partly.py\" $2 $3 \\
		\"\$hub\" serve --store \"\$work/store\""
}

# No byte that a terminal takes for more than text.
plain() {
	! LC_ALL=C grep -q '[^ -~]' err || fail "not plain text: $last"
	! LC_ALL=C grep -q '[^[:print:][:space:]]' out ||
		fail "not plain text: $last"
}

# The tests' own time: far below the 300 s of a hub that is believed.
soon() {
	expect "$1" timeout 60 "$qstore" "${@:2}"
	plain
}

small_tree src
mkdir store
serves good "exec \"\$hub\" serve --store \"\$work/store\""
expect 0 q init --no-confirm
expect 0 q snapshot src
cp -a store old
echo more >src/more
expect 0 q snapshot src
expect 0 q restore latest --target good
same src good/src

# One that gives out an old copy of the store.
serves old "exec \"\$hub\" serve --store \"\$work/old\""
for look in snapshots 'restore latest --target rolled' check; do
	# shellcheck disable=SC2086 # words, not one word
	soon 1,3 $look
	says 'went back in time'
done
soon 1,3 snapshot src
says 'went back in time'
[ "$(find old -path '*/log/*' -type f | wc -l)" = \
	"$(($(find store -path '*/log/*' -type f | wc -l) - 1))" ] ||
	fail 'writes on over a log that was rolled back'

# Escape codes: in what it complains of, in its refusal, before its greeting.
esc="printf '\\033]0;owned\\007\\033[31mred\\n' >&2"
serves stderr "$esc; exit 3"
soon 1 snapshots
says 'the connection ended \(.*owned.*red\)'
serves refused "printf 'QSTOREH1\\0\\0\\012\\0\\027\\0\\0\\0'
head -c 48 /dev/zero; printf 'you \\033[2J\\033]0;x\\007 may not!'"
soon 1 snapshots
says 'you \?\[2J\?\]0;x\? may not!'
serves noise "$esc; printf '\\033[1mWelcome\\033[0m to nas\\n'
head -c 64 /dev/zero"
soon 1 restore latest --target noise
says 'unexpected output before the qstore greeting'
[ ! -e noise ] || fail "restores what there is not"

# Its complaints do not show where nothing is wrong.
serves chatty "$esc; exec \"\$hub\" serve --store \"\$work/store\""
expect 0 q snapshots
[ ! -s err ] || fail 'shows what a hub that works complains of'

# Silence: from the beginning, and in the middle of a restore.
export QSTORE_TIMEOUT=1s
serves silent 'exec sleep 30'
soon 1 snapshots
says 'has not answered for 1 seconds'
partly slow 9000 hang
soon 1 restore latest --target slow
says 'has not answered for 1 seconds'
[ ! -e slow/src/big.bin ] || fail 'restores what has not come'

# One that goes away: anywhere in a session, for good.
unset QSTORE_TIMEOUT
serves whole "\"\$hub\" serve --store \"\$work/store\" | tee \"\$work/said\""
rm -rf cache
expect 0 q restore latest --target whole
whole=$(stat -c %s said)
for at in 1 63 64 70 80 400 3000 9000 $((whole / 2)) $((whole - 100)); do
	partly dying "$at" go
	rm -rf cache dead
	# It is tried once more, which may be enough for the rest.
	soon 0,1,3 restore latest --target dead
	if [ "$rc" -eq 0 ]; then
		[ "$at" -gt 9000 ] || fail "restores out of $at bytes"
		same src dead/src
		continue
	fi
	says 'the connection ended'
	# What is there is right: a file that is not whole is not there.
	(cd src && find . -type f) | while read -r file; do
		[ ! -e "dead/src/$file" ] || cmp "dead/src/$file" "src/$file" ||
			fail "a file that is not whole, after $at bytes: $file"
	done
done

# Wrong bytes in the middle of an answer are never written as a file.
cp -a store bad
pack=$(find bad -path '*/obj/*' -type f -printf '%s %p\n' | sort -n |
	tail -1 | cut -d' ' -f2)
printf 'damage' | dd of="$pack" bs=1 seek=300 conv=notrunc status=none
serves wrong "exec \"\$hub\" serve --store \"\$work/bad\""
rm -rf cache
soon 1,3 restore latest --target wrong
says 'damaged|corrupt|does not|not what'
find wrong -type f 2>/dev/null | while read -r file; do
	cmp "$file" "src/${file#wrong/src/}" || fail "restores wrong bytes: $file"
done

# After all that the store is whole, for who asks a hub that works.
serves good "exec \"\$hub\" serve --store \"\$work/store\""
rm -rf cache
expect 0 q check --read-data
expect 0 q restore latest --target again
same src again/src
