#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# All that is awkward to save comes back as it was.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$here/nasty_tree.sh" "$work/src" 2>"$work/left-out"
cat "$work/left-out"
privileged=()
[ "$(id -u)" != 0 ] || privileged=(--privileged)

new_store
if [ "$(id -u)" = 0 ]; then
	expect 0 q snapshot "$work/src"
else
	expect 3 q snapshot "$work/src" # modes/0000 and the like
fi
expect 0 q restore "latest:$work/src" --target "$work/out1" \
	${privileged[@]+"${privileged[@]}"}
same src out1
same_rsync src out1 --exclude=/deep

# Once more over what is there: nothing to do, and still the same.
expect 0 q restore "latest:$work/src" --target "$work/out1" \
	${privileged[@]+"${privileged[@]}"}
same src out1

# The whole snapshot has the way to the target in it too.
expect 0 q restore latest --target "$work/out2" \
	${privileged[@]+"${privileged[@]}"} --verify
same src "out2$work/src"

# Holes are still holes: 300 MB of name, 5 MB of bytes.
blocks=$(stat -c %b out1/sparse/big)
[ "$blocks" -lt 40000 ] || fail "sparse/big takes $blocks blocks"

expect 0 q check --read-data
