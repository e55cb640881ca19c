#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A lost certificate costs the snapshots of its machine and no others.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

q_second() { # as another machine of the same folder
	XDG_STATE_HOME=$work/state2 XDG_CACHE_HOME=$work/cache2 "$qstore" "$@"
}

small_tree src
new_store
expect 0 q snapshot src
first=$(latest)
admin=$(find store -path '*/log/*' -name '0000000000000001-*' \
	-printf '%h\n' | sort -u)
mkdir other
echo other >other/file
expect 0 q_second snapshot other
second=$(latest)
[ "$first" != "$second" ] || fail 'the second machine saved nothing'
cp -a store good

# The admin's records: the first, a certificate of each machine.
certificate=$(find "$admin" -name '0000000000000002-*')
[ -f "$certificate" ] || fail 'the second machine has no certificate'
for harm in "rm $certificate" "truncate -s 100 $certificate"; do
	chmod u+w "$certificate"
	$harm
	for who in q q_second; do
		expect 3 $who snapshots
		prints "$first"
		says_not "$second" "$work/out"
		says "not certified.*device $(basename "$admin" | cut -c1-8).*copy"
		says 'record 2'
		rm -rf out1
		expect 3 $who restore "$first:/src" --target out1
		same src out1
		expect 1 $who restore "$second" --target out2
	done
	rm -rf store
	cp -a good store
	# Nothing remembers that it was away.
	for who in q q_second; do
		expect 0 $who snapshots
		prints "$second"
	done
done
