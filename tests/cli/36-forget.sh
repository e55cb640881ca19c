#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# forget hides snapshots, by name or by a policy; undelete shows them again.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
new_store
at() { # TIME [OPTION...]: a snapshot of then
	local time=$1

	shift
	expect 0 q snapshot src/docs --time "$time" "$@"
}
at '2020-01-01 10:00:00'
at '2020-01-01 10:30:00' --tag keep
at '2020-01-01 12:00:00'
at '2020-01-02 09:00:00'
at '2020-02-03 09:00:00'
at '2021-03-04 09:00:00'
first=$(q snapshots --json | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)[0]["short_id"])')
[ "$(count_snapshots)" = 6 ] || fail 'there are not six'

# By name: hidden, with a word of how to get it back.
expect 0 q forget "$first"
[ "$(count_snapshots)" = 5 ] || fail 'it is still shown'
expect 1 q ls "$first"
says 'is forgotten.*undelete'
expect 0 q snapshots --forgotten
prints "$first"
expect 0 q check --read-data
expect 0 q undelete "$first"
prints '1 snapshot remembered'
[ "$(count_snapshots)" = 6 ] || fail 'it is not back'
expect 0 q restore "$first" --target back
rm -rf back

# A policy: the newest of each day, of two days; nothing is done with -n.
expect 0 q forget --keep-daily 2 -n
prints 'keep 2 snapshots'
prints 'daily snapshot'
prints 'remove 4 snapshots'
prints 'would forget 4'
[ "$(count_snapshots)" = 6 ] || fail '-n forgot something'
expect 0 q forget --keep-daily 2 --keep-tag keep -n --json
/usr/bin/python3 - "$work/out" <<'END'
import json, sys
(group,) = json.load(open(sys.argv[1]))
assert len(group["keep"]) == 3 and len(group["remove"]) == 3, group
assert group["paths"] and group["host"], group
reasons = {r["snapshot"]["time"][:10]: r["matches"] for r in group["reasons"]}
assert reasons["2021-03-04"] == ["daily snapshot"], reasons
assert reasons["2020-01-01"] == ["has tags [keep]"], reasons
END
expect 0 q forget --keep-within 13m2d -n
prints 'within 13m2d'
prints 'keep 2 snapshot'
expect 0 q forget --keep-yearly 3 -n
prints 'oldest yearly snapshot'

# Words that make no sense, and what would leave nothing.
expect 1 q forget
says 'what to keep'
expect 1 q forget "$first" --keep-last 1
expect 1 q forget --keep-last many
expect 1 q forget --keep-within 3x
expect 1 q forget --group-by day --keep-last 1
expect 1 q forget --keep-tag nosuchtag
says 'would keep none'
[ "$(count_snapshots)" = 6 ] || fail 'something was forgotten'
expect 1 q forget --unsafe-allow-remove-all
expect 1 q undelete
expect 1 q undelete "$first"

# Groups: each host keeps one, and all together without groups.
expect 0 q snapshot src/docs --host other
expect 0 q forget --keep-last 1 -n
prints 'would forget 5'
expect 0 q forget --keep-last 1 --group-by '' -n
prints 'would forget 6'
expect 0 q forget --keep-last 1
[ "$(count_snapshots)" = 2 ] || fail 'not one of each host is left'
expect 0 q forget --host other --unsafe-allow-remove-all
[ "$(count_snapshots)" = 1 ] || fail 'that host is still there'

# Another machine sees the same, and a tag given afterwards changes nothing.
expect 0 env XDG_CACHE_HOME="$work/b.cache" XDG_STATE_HOME="$work/b.state" \
	"$qstore" snapshots --forgotten
prints '6 snapshots'
expect 0 q undelete --all --host other
[ "$(count_snapshots)" = 2 ] || fail 'that host is not back'
if /usr/bin/python3 -c 'import nacl, zstandard' 2>/dev/null; then
	expect 0 /usr/bin/python3 "$here/../reader/qstore_read.py" \
		--password-file "$work/password" store list
	[ "$(wc -l <out)" = 2 ] || fail 'the second reader lists others'
fi
