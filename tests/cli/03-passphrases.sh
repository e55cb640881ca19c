#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Each way to give a passphrase; a wrong one is exit 12; slots come and go.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
expect 0 q init --no-confirm
grep -ohE '([A-Z0-9]{4,8}-){4,}[A-Z0-9]{4,8}' out err | head -1 >recovery ||
	true
[ -s recovery ] || fail 'init shows no recovery code'
chmod 600 recovery
expect 0 q snapshot src

# On a terminal the code is asked for once more, in words that say why.
expect 0 /usr/bin/python3 -c '
import os, pty, re, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen, answered = b"", False
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:  # the other side is closed
        break
    if not data:
        break
    seen += data
    if not answered and re.search(rb"code[a-z ]*: $", seen):
        code = re.search(rb"([0-9A-Z]{7}-){7}[0-9A-Z]{7}", seen).group(0)
        os.write(fd, code + b"\n")
        answered = True
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
' "$qstore" -r "$work/asked" init
prints '^type the code back: '
prints 'that is right'

# Without a code none is spoken of.
expect 0 q -r "$work/codeless" init --no-recovery
says_not 'recovery'
says '^Without the passphrase nothing can be restored'

unset QSTORE_PASSWORD_FILE
expect 0 q snapshots --password-file password
expect 0 q snapshots --password-command 'cat password'
# The first line counts, whatever comes after it.
(cat password; seq 30000) >long
expect 0 q snapshots --password-file long
expect 0 q snapshots --password-command 'cat long'
head -c 1025 /dev/zero | tr '\0' x >wide
expect 1 q snapshots --password-command 'cat wide'
says 'longer than 1024 bytes'
expect 0 env QSTORE_PASSWORD='correct horse battery' "$qstore" snapshots
expect 0 env QSTORE_PASSWORD_COMMAND='cat password' "$qstore" snapshots
expect 0 env QSTORE_PASSWORD_FD=5 "$qstore" snapshots 5<password

echo 'wrong horse battery' >wrong
expect 12 q snapshots --password-file wrong
says 'passphrase'
says_not 'wrong horse'
: >nothing
expect 1,12 q snapshots --password-file nothing
says nothing
expect 1 q snapshots --password-file no-such-file
says 'no-such-file'
expect 1 q snapshots --password-command 'exit 3'

# The recovery code, from a file as for scripts.
expect 0 env QSTORE_RECOVERY_FILE="$work/recovery" "$qstore" snapshots \
	--recovery-code

# Add, use, remove.
export QSTORE_PASSWORD_FILE=$work/password
echo 'another passphrase of mine' >second
expect 0 q key list
before=$(grep -c . out)
expect 0 q key add --new-password-file second --label second
expect 0 q snapshots --password-file second
expect 0 q key list
prints second
[ "$(grep -c . out)" -gt "$before" ] || fail 'key list does not show more'

echo 'a new passphrase for me' >third
expect 0 q key passwd --password-file second --new-password-file third
expect 12 q snapshots --password-file second
expect 0 q snapshots --password-file third
expect 0 q snapshots

head -c 64 /dev/urandom >keyfile
chmod 600 keyfile
expect 0 q key add --new-key-file keyfile --label card
expect 0 env -u QSTORE_PASSWORD_FILE "$qstore" snapshots --key-file keyfile
head -c 64 /dev/urandom >other
# Wrong alone, or it asks for a passphrase to go with it.
expect 12 env -u QSTORE_PASSWORD_FILE "$qstore" snapshots --key-file other

expect 0 q key list --json
id=$(/usr/bin/python3 -c '
import json, sys
print([k["id"] for k in json.load(open(sys.argv[1]))
       if k.get("label") == "card"][0])' out)
expect 0 q key remove "$id"
expect 12 env -u QSTORE_PASSWORD_FILE "$qstore" snapshots --key-file keyfile
expect 0 q check
