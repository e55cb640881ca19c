#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Every kernel, scalar or vector, makes the same chunks.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir src
noise cpu 9000000 >src/random
seq 300000 >src/text
head -c 3000000 /dev/zero >src/zeros
new_store

# In one store: what one kernel saved is all known to the others.
first=
for cpu in scalar avx2 avx512 ''; do
	export QSTORE_CPU=$cpu
	[ -n "$cpu" ] || unset QSTORE_CPU
	expect 0 q snapshot src --force --json
	added=$(/usr/bin/python3 -c '
import json, sys
for line in open(sys.argv[1]):
    m = json.loads(line)
    if m.get("message_type") == "summary":
        print(m.get("data_blobs", m.get("data_added")))' out)
	if [ -z "$first" ]; then
		first=$added
		[ "$added" -gt 0 ] || fail 'the first one added nothing'
	elif [ "$added" != 0 ]; then
		fail "${cpu:-default}: $added new chunks of the same bytes"
	fi
	rm -rf out1
	expect 0 q restore "latest:/src" --target out1
	same src out1
done
expect 0 q check --read-data

# A word that means nothing is an error, not the best there is by silence.
expect 1 env QSTORE_CPU=sse9 "$qstore" snapshots
says 'QSTORE_CPU'
