#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# ls, find, diff, dump and stats say what is there.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
new_store
expect 0 q snapshot src
first=$(latest)
cp -a src before
echo new >src/docs/added
rm src/docs/file4
echo changed >>src/docs/file5
chmod 640 src/docs/file1
expect 0 q snapshot src
second=$(latest)
[ "$first" != "$second" ] || fail 'two snapshots, one id'

expect 0 q ls latest
prints "^/src/docs/added$"
says_not 'file4' "$work/out"
expect 0 q ls -l "$first:/src/docs"
prints 'rw-------.*file1'
prints 'file4'
expect 0 q ls "latest~1"
prints file4

expect 0 q find 'file[45]'
prints file4
prints file5
expect 0 q find nothing-like-that
[ ! -s out ] || says_not 'nothing-like-that$' "$work/out"

expect 0 q diff "$first" "$second"
prints '^\+ +.*/docs/added'
prints '^- +.*/docs/file4'
prints '^M +.*/docs/file5'
says_not 'big\.bin' "$work/out"
expect 0 q diff --metadata "$first" "$second"
prints '^U +.*/docs/file1'

# A folder that cannot be read costs the comparison of itself.
mkdir many
cp -a src many/one
cp -a src many/two
expect 0 q snapshot many
before=$(latest)
find store -path '*/obj/*' -type f | sort >there
echo more >>many/one/docs/file5
expect 0 q snapshot many
mapfile -t packs < <(find store -path '*/obj/*' -type f | sort |
	comm -13 there -)
[ "${#packs[@]}" = 1 ] || fail "${#packs[@]} new objects, not one"
echo more >>many/two/docs/file5
expect 0 q snapshot many
mv "${packs[0]}" pack
expect 3 q diff "$before" latest
prints '^M +.*/two/docs/file5'
says '/one: .*object '
prints '^Files:'
expect 3 q --json diff "$before" latest
says '"item":".*/one"'
prints '"message_type":"statistics"'
mv pack "${packs[0]}"
expect 0 q diff "$before" latest
prints '^M +.*/one/docs/file5'
rm -rf many

expect 0 q dump latest~3 "/src/big.bin"
cmp -s out src/big.bin || fail 'dump gives other bytes'
last='dump -a tar'
"$qstore" dump -a tar latest~3 "/src" >tree.tar 2>err || fail 'exit not 0'
mkdir untar
tar -C untar -xpf tree.tar
inner=$(dirname "$(find untar -name numbers.txt | head -1)")
/usr/bin/python3 "$here/same_tree.py" --data src "$inner" >same ||
	fail "tar differs: $(head -3 same)"
expect 1 q dump latest~3 "/src/none"
says none

expect 0 q stats
expect 0 q stats --mode raw-data
expect 0 q snapshots
prints "$first"
prints "$second"
prints "$work/src"
expect 0 q snapshots --latest 1
says_not "$first" "$work/out"

# Names made to fool a terminal are shown harmless.
printf x >"src/$(printf 'red\033[31m')"
expect 0 q snapshot src
expect 0 q ls latest
LC_ALL=C grep -q "$(printf '\033')" out && fail 'prints an escape'
expect 0 q find 'red*'
LC_ALL=C grep -q "$(printf '\033')" out && fail 'prints an escape'
expect 0 q version
expect 0 q help
for verb in init snapshot snapshots ls find diff dump restore check stats tag \
	key unlock lock benchmark version completion; do
	expect 0 q help "$verb"
	prints "$verb"
	expect 0 q "$verb" --help
done
expect 0 q version
cp out version
expect 0 q --version
cmp -s out version || fail '--version is not what version prints'
expect 0 q snapshots --version
cmp -s out version || fail 'a command with --version runs all the same'
expect 0 q completion bash
bash -n out || fail 'the completion is no shell'
