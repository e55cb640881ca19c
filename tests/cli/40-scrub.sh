#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# qstore-hub scrub and status: findings, exit codes, repair, JSON, harmless text.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

hub=${QSTORE_HUB_BIN:-$(dirname "$qstore")/qstore-hub}
[ -x "$hub" ] || skip 'needs qstore-hub'
h() { "$hub" "$@"; }

small_tree src
export QSTORE_REPOSITORY=$work/home/qstore/photos
mkdir -p "$QSTORE_REPOSITORY" "$work/home/qstore/empty"
new_store
expect 0 q snapshot src
folder=$(find "$QSTORE_REPOSITORY" -mindepth 1 -maxdepth 1 -type d)

# The hub of ~/qstore, all its folders; a status before there is a catalogue.
expect 0 h status
prints '^photos '
prints 'none yet: scrub makes one'
expect 0 h scrub
prints '^photos: .* no damage$'
expect 0 h scrub --full --threads 2
expect 0 h status
prints 'last scrub +2'
expect 0 h status --json
/usr/bin/python3 - out <<'PY'
import json, sys
(status,) = json.load(open(sys.argv[1]))
assert status["name"] == "photos" and status["has_catalogue"], status
assert status["objects"] > 0 and status["scrub_findings"] == 0, status
assert "last_snapshot" in status and "last_scrub" in status, status
PY

# The quota that the access list sets.
mkdir -p "$XDG_CONFIG_HOME/qstore"
(umask 077 && echo 'qube:photos photos rw quota=1G' \
	>"$XDG_CONFIG_HOME/qstore/acl.conf")
expect 0 h status
prints 'quota +1.000 GiB, .*% used'

# Damage: one line each, exit code 3, and a good copy from elsewhere.
cp -a "$QSTORE_REPOSITORY" copy
object=$(find "$folder/obj" -type f | head -1)
chmod u+w "$object"
printf x | dd of="$object" bs=1 seek=70000 conv=notrunc status=none
printf 'x' >"$folder/$(printf 'ev\033[31mil')"
for depth in --fast --full; do
	expect 3 h scrub $depth
	prints 'is damaged: its bytes do not match its name'
	prints 'ev.x1b\[31mil is no file of this store'
	prints ': 1 damaged, 1 foreign$'
done
expect 3 h scrub --json "$QSTORE_REPOSITORY"
/usr/bin/python3 - out <<'PY'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert [l["kind"] for l in lines[:-1]] == ["foreign", "damaged"], lines
assert lines[-1]["damaged"] == 1 and lines[-1]["finished"], lines
PY
expect 0 h scrub --repair-from "$work/copy"
prints 'a good copy was fetched'
expect 0 h scrub --full
expect 0 q check --read-data
ls "$folder"/trash/damaged-* >/dev/null || fail 'the damaged one is gone'

# What is missing, and the snapshot that lacks it.
rm -f "$object"
expect 3 h scrub
prints 'is missing'
prints '1 of the [0-9]+ objects that it brought are missing'
expect 0 h scrub --rebuild --repair-from "$work/copy"
expect 0 h scrub --rebuild

# Words that are wrong.
expect 1 h scrub --max-duration soon
says 'qstore-hub: '
expect 1 h scrub --threads 0
expect 1 h scrub --nonsense
expect 1 h scrub "$work/nowhere"
says 'no qstore store'
expect 1 h status --hub "$work/nowhere"
expect 0 h scrub --help
prints 'usage:'
expect 0 h scrub --max-duration 1h30m --anew
