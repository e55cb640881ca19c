#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# What the access list limits: quota, rate, connections; what is refused is
# counted; tidying up within the cage; a good copy from another hub.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

hub=$(dirname "$qstore")/qstore-hub
[ -x "$hub" ] || skip 'needs qstore-hub'
store=$HOME/qstore/work
mkdir -p "$store" "$XDG_CONFIG_HOME/qstore"
export PYTHONDONTWRITEBYTECODE=1 PATH=$(dirname "$qstore"):$PATH

limit() { # WORDS of the list
	(umask 077 && echo "key:laptop work rw $*" >"$XDG_CONFIG_HOME/qstore/acl.conf")
}

export QSTORE_REPOSITORY="exec:exec $qstore serve --principal laptop --folder work"
status() { # an expression about the folder's status s
	expect 0 q status --json
	/usr/bin/python3 -c 'import json, sys
(s,) = json.load(open(sys.argv[1]))
assert eval(sys.argv[2]), s' out "$1" || fail "status: $1"
}

python() { # the catalogue, from the outside: SQL
	/usr/bin/python3 -c 'import sqlite3, sys
base = sqlite3.connect(sys.argv[1])
print(*base.execute(sys.argv[2]).fetchone() or [""])
base.commit()' "$(echo "$store"/*/hub/catalogue.sqlite)" "$1"
}

small_tree src
mkdir much
noise much 9000000 >much/much
limit quota=8M rate=1G connections=4
expect 0 q init --no-confirm --no-recovery
expect 0 q snapshot src
status 's["quota"] == 8 << 20 and s["refused"] == 0 and s["refused_for"] == {}'

# Beyond the quota: a sentence, and what was there stays whole.
expect 1 q snapshot much
says 'the quota of 8388608 bytes is used up'
says 'forget and retire'
[ "$(grep -c . err)" = 1 ] || fail "several sentences: $(cat err)"
expect 0 q check --read-data
status 's["bytes"] <= 8 << 20 and s["refused"] > 0'
status 'sum(s["refused_for"].values()) == s["refused"]'
status 'len(s["refused_for"]) == 1'

# Used up to the last byte: what makes room is let in.
used() {
	q status --json </dev/null | /usr/bin/python3 -c 'import json, sys
(s,) = json.load(sys.stdin)
print(s["bytes"] + s["trash_bytes"])'
}
limit "quota=$(used)"
noise another 500000 >src/another
expect 1 q snapshot src
says 'quota'
rm src/another
limit quota=30M
expect 0 q snapshot much
limit "quota=$(used)"
expect 0 q forget --path "$work/much" --unsafe-allow-remove-all --keep-tag none
expect 0 q retire --max-unused unlimited
prints 'retired [1-9]'
bytes=$(find "$store" -path '*/obj/*' -type f -printf '%s\n' |
	awk '{s += $1} END {print s}')
for _ in 1 2 3; do
	expect 0 q tidy --trash-days 0 --purge-days 0 --share 100
done
[ "$(find "$store" -path '*/obj/*' -type f -printf '%s\n' |
	awk '{s += $1} END {print s}')" -lt "$bytes" ] || fail 'nothing went'
limit quota=12M
echo new >src/new
expect 0 q snapshot src
expect 0 q check --read-data
expect 0 q scrub --full

# A rate: only that all comes in, and is as it was.
limit rate=1M
noise rated 2000000 >src/rated
expect 0 q snapshot src
expect 0 q restore latest --target back
same src back/src
[ -s "$store"/*/hub/rate ] || fail 'nobody keeps the rate'

# Connections: one is on it, the next is told so, and then not any more.
limit connections=1
/usr/bin/python3 - "$here" "$(basename "$(dirname "$store"/*/keys)")" <<'P' || fail 'connections'
import sys
sys.path.insert(0, sys.argv[1])
from wire_client import BUSY, OPEN, Wire, refused
folder = bytes.fromhex(sys.argv[2])
def connect():
    return Wire(["qstore", "serve", "--principal", "laptop", "--folder", "work"])
first, second = connect(), connect()
first.call(OPEN, folder)
print(refused(second.call, OPEN, folder, code=BUSY))
second.close()
assert first.close()[0] == 0
third = connect()
third.call(OPEN, folder)
third.process.kill()
third.process.wait()
connect().call(OPEN, folder)
P
limit

# A slot goes only when a record retires it; brought back by hand, the tidying
# at the end of the day's first connection takes it away again, caged.
echo 'another passphrase of mine' >second
expect 0 q key add --new-password-file second --label second
expect 0 q key list --json
id=$(/usr/bin/python3 -c 'import json, sys
print([k["id"] for k in json.load(open(sys.argv[1]))
       if k.get("label") == "second"][0])' out)
expect 0 q key remove "$id"
slot=$(find "$store" -path '*/trash/*.key')
[ -n "$slot" ] || fail 'the slot is not in the trash'
mv "$slot" "$(dirname "$slot")/../keys/"
today=$(($(date +%s) / 86400))
python "UPDATE facts SET value = 0 WHERE key = 'tidied_day'"
expect 0 q tag --add daily latest
wait_for '[ -e "$slot" ]'
[ "$(python "SELECT value FROM facts WHERE key = 'tidied_day'")" -ge "$today" ] ||
	fail 'it was not written down'
expect 12 env QSTORE_PASSWORD_FILE=second "$qstore" snapshots
expect 0 q snapshots

# Another hub has a good copy.
cp -a "$store" copy
rm -rf copy/*/hub
object=$(find "$store" -path '*/obj/*' -type f | sort | head -1)
chmod u+w "$object"
printf x | dd of="$object" bs=1 seek=5000 conv=notrunc status=none
rm -f "$(find "$store" -path '*/obj/*' -type f | sort | tail -1)"
expect 3 "$qstore" scrub --full
prints '1 damaged, 1 missing'
expect 0 q scrub --full \
	--repair-from "exec:exec $qstore serve --store $work/copy --mode ro"
expect 0 q scrub --full
expect 0 q check --read-data
[ "$(find copy -name hub)" = '' ] || fail 'reading has left something there'
