#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Whoever holds the store can fill the log with files that look like records:
# some are named, the rest counted, and everything is restored.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
new_store
expect 0 q snapshot src
log=$(find store -path '*/log/*' -name '0000000000000000-*' -printf '%h\n' |
	sort | tail -1)
for i in $(seq 100); do
	printf -v name '%016x-%064x' "$((1000 + i))" "$i"
	echo "$i" >"$log/$name"
done
mkdir "$(dirname "$log")/00000000000000ff"
for i in $(seq 100); do
	printf -v name '%016x-%064x' "$i" "$i"
	head -c 4096 /dev/urandom >"$(dirname "$log")/00000000000000ff/$name"
done
expect 3 q restore latest:/src --target out1
same src out1
[ "$(grep -c '^warning' err)" -lt 30 ] || fail 'names each of them'
says 'copy it back from another copy'
says '1[0-9][0-9] more files are damaged or no records'
expect 3 q snapshots
