#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# What restore takes, leaves, overwrites and deletes.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
new_store
expect 0 q snapshot src
sub=latest:/src

expect 0 q restore "$sub" --target some --include '*.txt'
[ -e some/numbers.txt ] || fail 'numbers.txt is not there'
[ ! -e some/big.bin ] || fail 'big.bin is there'
expect 0 q restore "$sub" --target some2 --exclude '*.bin' --exclude docs
[ -e some2/numbers.txt ] || fail 'numbers.txt is not there'
[ ! -e some2/big.bin ] || fail 'big.bin is there'
[ ! -e some2/docs/file1 ] || fail 'docs is there'
expect 0 q restore "$sub" --target some3 --iinclude '*.TXT'
[ -e some3/numbers.txt ] || fail 'numbers.txt is not there'
expect 0 q restore "$sub" --target dry -n
expect 0 q restore "$sub" --target dry -n --delete
[ ! -e dry ] || fail 'a dry run wrote'

expect 0 q restore "$sub" --target over
echo mine >over/zero
touch -d '2030-01-01' over/zero
expect 0 q restore "$sub" --target over --overwrite never
grep -q mine over/zero || fail 'never, and overwritten'
expect 0 q restore "$sub" --target over --overwrite if-newer
grep -q mine over/zero || fail 'newer one overwritten'
expect 0 q restore "$sub" --target over --overwrite if-changed
[ ! -s over/zero ] || fail 'changed one not overwritten'
echo mine >over/zero
expect 0 q restore "$sub" --target over --overwrite always
[ ! -s over/zero ] || fail 'always, and not overwritten'
expect 1 q restore "$sub" --target over --overwrite perhaps
# Exactly what was there, not what is said to be equal by size and time.
stamp=$(stat -c %y over/big.bin)
printf X | dd of=over/big.bin conv=notrunc status=none
touch -d "$stamp" over/big.bin
expect 0 q restore "$sub" --target over
same src over

mkdir over/extra
echo x >over/extra/file
expect 0 q restore "$sub" --target over
[ -e over/extra/file ] || fail 'deleted without --delete'
expect 0 q restore "$sub" --target over --delete -n
[ -e over/extra/file ] || fail 'a dry run deleted'
expect 0 q restore "$sub" --target over --delete
[ ! -e over/extra ] || fail 'not deleted'
same src over

# Other kinds of things in the way.
rm -rf over/docs over/zero
echo file >over/docs
mkdir over/zero
expect 0 q restore "$sub" --target over --delete
same src over

truncate -s 5000000 src/zeros
expect 0 q snapshot src
expect 0 q restore "latest:/src" --target over --sparse --verify
same src over
[ "$(stat -c %b over/zeros)" -lt 1000 ] || fail 'zeros takes room'
expect 0 q restore "latest:/src/zeros" --target single || true
expect 1 q restore latest
says target
