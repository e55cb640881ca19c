#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A damaged SNAPSHOT record, or a lost certificate, costs the snapshots of that
# record or that machine and no others, also where no index is left.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

machines=0
fresh() { # as a machine that has never seen the store
	machines=$((machines + 1))
	XDG_CACHE_HOME=$work/fresh$machines.cache \
		XDG_STATE_HOME=$work/fresh$machines.state "$qstore" "$@"
}

as() { # MACHINE COMMAND...
	local machine=$1

	shift
	XDG_CACHE_HOME=$work/$machine.cache XDG_STATE_HOME=$work/$machine.state \
		QSTORE_HOST=$machine "$@"
}

reader() { # TARGET: what the second reader gets of the newest snapshot
	/usr/bin/python3 -c 'import nacl, zstandard' 2>/dev/null || return 0
	expect 3 /usr/bin/python3 "$here/../reader/qstore_read.py" \
		--password-file "$QSTORE_PASSWORD_FILE" store restore latest "$1"
}

flip() { # FILE OFFSET: another byte there
	chmod u+w "$1"
	/usr/bin/python3 - "$1" "$2" <<'END'
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)[0]
    file.seek(int(sys.argv[2]))
    file.write(bytes([byte ^ 1]))
END
}

new_records() { # the log's files since it was asked last
	find store -path '*/log/*' -type f | sort >now
	touch before
	comm -13 before now
	mv now before
}

mkdir -p src/d
for i in $(seq 12); do noise "$i" 100000 >"src/d/$i"; done
new_store
new_records >/dev/null
expect 0 q snapshot src
record=$(new_records | tail -1)
for i in 1 2 3; do
	echo "$i" >"src/new$i"
	expect 0 q snapshot src
done
cp -a store whole
flip "$record" 1000
expect 3 fresh restore latest:/src --target back
same src back
says 'damaged'
reader back2
same src back2/src
# Somebody who saves now lists again what the lost record listed.
expect 0 as b "$qstore" snapshot --tag again src
listed=$(new_records | tail -1)
[ "$(stat -c %s "$listed")" -gt 0 ] || fail 'no new record'
rm -rf c.cache c.state
expect 1,3 as c "$qstore" check
says_not 'listed by no valid record'
says 'damaged'

# The newest record itself: what others need of its packs is found among those
# that nobody lists.
rm -rf store
cp -a whole store
find store -path '*/log/*' -type f | sort >before
noise mine 300000 >src/mine
expect 0 q snapshot src
record=$(new_records | tail -1)
expect 0 as d "$qstore" snapshot src
flip "$record" 1000
expect 3 fresh restore latest:/src --target back3
same src back3
reader back4
same src back4/src
# A writer builds upon nothing of that: it stores its own.
mkdir lone
cp src/mine lone/mine
stored=$(du -sb store | cut -f1)
expect 0 as f "$qstore" snapshot lone
[ $(($(du -sb store | cut -f1) - stored)) -gt 300000 ] ||
	fail 'builds upon what no record lists'
expect 3 fresh restore latest:/lone --target back5
same lone back5

# Two machines save the same; the first one's certificate is lost.
rm -rf store before b.cache b.state
new_store
new_records >/dev/null
expect 0 as a "$qstore" snapshot src
expect 0 as b "$qstore" snapshot src
second=$(as b "$qstore" snapshots --json | /usr/bin/python3 -c '
import json, sys
print([s["short_id"] for s in json.load(sys.stdin) if s["hostname"] == "b"][0])')
admin=$(find store -path '*/log/*' -name '0000000000000000-*' -printf '%f %h\n' |
	sort | head -1)
certificates=$(find store -path '*/log/*' -name '0000000000000002-*')
[ -n "$certificates" ] || fail "no certificate of the first machine ($admin)"
rm $certificates
expect 3 fresh restore "$second:/src" --target back6
same src back6
