#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A run is killed at each of its fsyncs in turn.  What the next one takes over
# from it is made durable before a record lists it: else a power cut could leave
# a record whose objects are gone.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_shim
noise 1 200000 >src
new_store
cp -a store none
cp -a state none.state

at=0
taken_over=0
killed=true
while $killed; do
	at=$((at + 1))
	rm -rf store state cache killed synced left
	touch killed synced
	cp -a none store
	cp -a none.state state
	got=0
	QS_FAULT_SYNCED=$work/killed faulty "kill:fsync:$at" snapshot src \
		>out 2>err </dev/null || got=$?
	[ "$got" = 137 ] || killed=false
	find store/*/obj -type f >left
	expect 0 env LD_PRELOAD="$shim" QS_FAULT_SYNCED="$work/synced" \
		"$qstore" snapshot src
	/usr/bin/python3 - >count <<'END' || fail "killed at fsync $at"
import glob, os, sys

def lines(name):
    with open(name) as file:
        return [line.rstrip("\n") for line in file]


def in_order(wanted, found):
    """The first of wanted that does not come after those before it."""
    at = -1
    for path in wanted:
        try:
            at = found.index(path, at + 1)
        except ValueError:
            return path
    return None


records = {path: open(path, "rb").read() for path in glob.glob("store/*/log/*/*")}
count = 0
for line in open("left"):
    path = os.path.realpath(line.strip())
    name = bytes.fromhex(os.path.basename(path))
    lists = [p for p, data in records.items() if name in data]
    if not lists or path.endswith(".tmp"):
        continue
    newest = max(records, key=os.path.getmtime)
    if newest not in lists:
        continue
    shard = os.path.dirname(path)
    folders = [shard, os.path.dirname(shard)]
    # The killed run may have come as far as that itself.
    if in_order(folders, lines("killed")) is None:
        continue
    count += 1
    missing = in_order([path] + folders +
                       [os.path.realpath(os.path.dirname(newest))],
                       lines("synced"))
    if missing:
        sys.exit("not synced in this order: " + missing)
print(count)
END
	taken_over=$((taken_over + $(cat count)))
	expect 0 q check
done
[ "$taken_over" -gt 0 ] || fail 'nothing was taken over from a killed run'
echo "killed at $((at - 1)) fsyncs, $taken_over objects taken over"
