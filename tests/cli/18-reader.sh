#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# The second reader, in Python, restores the same from the same store.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

/usr/bin/python3 -c 'import nacl, zstandard' 2>/dev/null ||
	skip 'needs python3-nacl and python3-zstandard'
reader=$here/../reader/qstore_read.py
[ -e "$reader" ] || skip 'there is no reader'
small_tree src
truncate -s 4000000 src/hole
new_store
expect 0 q snapshot src
echo more >>src/docs/file1
rm src/docs/file2
expect 0 q snapshot src
expect 0 /usr/bin/python3 "$reader" --password-file password store list
prints "$(latest)"
expect 0 /usr/bin/python3 "$reader" --password-file password store \
	restore latest out1
same src out1/src
echo 'wrong horse battery' >wrong
expect 12 /usr/bin/python3 "$reader" --password-file wrong store list
