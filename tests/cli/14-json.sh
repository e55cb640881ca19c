#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Each line of --json is JSON, with names that restic's users know.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

json_lines() { # FILE
	local line

	[ -s "$1" ] || fail "prints nothing: $last"
	/usr/bin/python3 -c '
import json, sys
for line in open(sys.argv[1], encoding="utf-8", errors="strict"):
    json.loads(line)' "$1" 2>"$work/why" || {
		tail -1 "$work/why" >&2
		fail "not JSON: $last"
	}
}

small_tree src
printf x >"src/$(printf 'quote"back\\slash\nline\377')"
mkdir src/closed
expect 0 q init --no-confirm --json
json_lines out
prints '"id"|"folder|"repository"'
expect 0 q snapshot src --json
json_lines out
prints '"message_type":"summary"'
prints '"files_new"'
prints '"snapshot_id"'
expect 0 q snapshot src --json -v
json_lines out
expect 0 q snapshots --json
json_lines out
prints '"short_id"'
prints '"hostname"'
expect 0 q ls latest --json
json_lines out
prints '"struct_type":"node"|"message_type":"node"'
expect 0 q ls latest -l --json
json_lines out
expect 0 q find '*.txt' --json
json_lines out
expect 0 q stats --json
json_lines out
prints '"total_size"'
expect 0 q restore latest --target out1 --json
json_lines out
prints '"message_type":"summary"'
expect 0 q check --json
json_lines out
echo more >>src/zero
expect 0 q snapshot src --json
expect 0 q diff latest~1 latest --json
json_lines out
prints '"modifier":"M"'
expect 0 q key list --json
json_lines out
expect 0 q version --json
json_lines out
expect 12 env -u QSTORE_PASSWORD_FILE QSTORE_PASSWORD='not the right one' \
	"$qstore" snapshots --json
cat out err >both
json_lines both
prints_exit=$(grep -c . both)
[ "$prints_exit" -ge 1 ] || fail 'no error message'
