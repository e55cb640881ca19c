#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# What snapshot leaves out, takes from elsewhere, and notes.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

names() { # SNAP: what is in it
	q ls "$1" 2>/dev/null
}
has() {
	names latest | grep -qE -e "$1" || fail "no $1 in it: $last"
}
has_not() {
	! names latest | grep -qE -e "$1" || fail "$1 is in it: $last"
}

small_tree src
mkdir src/cachedir src/marked src/node_modules
printf 'Signature: 8a477f597d28d172789f06886806bc55' >src/cachedir/CACHEDIR.TAG
echo x >src/cachedir/entry
echo x >src/marked/entry
touch src/marked/.nobackup
echo x >src/node_modules/entry
echo x >src/UPPER.TMP
new_store

expect 0 q snapshot src --exclude '*.bin' -e node_modules --iexclude '*.tmp'
has 'numbers\.txt'
has_not 'big\.bin'
has_not 'node_modules'
has_not 'UPPER'
printf '# comment\n*.txt\n!numbers.txt\n' >patterns
expect 0 q snapshot src --exclude-file patterns
has 'big\.bin'
has_not 'hello\.txt'
expect 0 q snapshot src --exclude-caches --exclude-if-present .nobackup
has 'CACHEDIR'
has_not 'cachedir/entry'
has_not 'marked/entry'
expect 0 q snapshot src --exclude-larger-than 1M
has_not 'big\.bin'
has 'numbers\.txt'

printf '%s\n' src/docs/file1 src/zero >list
expect 0 q snapshot --files-from list
has 'file1'
has_not 'file2'
printf 'src/docs/file2\0' >raw
expect 0 q snapshot --files-from-raw raw
has 'file2'
has_not 'file1'
expect 0 q snapshot --files-from-verbatim list
has 'zero'

expect 0 q snapshot src --tag one,two --tag three --host elsewhere \
	--time '2012-11-01 22:08:41'
expect 0 q snapshots --json --host elsewhere
prints '"one"'
prints '"three"'
prints '2012-11-01T22:08:41'
expect 0 q snapshots --json --tag two
prints 'elsewhere'
expect 0 q snapshots --json --host nobody
prints_nothing=$(/usr/bin/python3 -c 'import json,sys
print(len(json.load(open(sys.argv[1]))))' out)
[ "$prints_nothing" = 0 ] || fail 'a host nobody has'

before=$(count_snapshots)
expect 0 q snapshot src -n
[ "$(count_snapshots)" = "$before" ] || fail 'a dry run saved something'
expect 0 q snapshot src
before=$(count_snapshots)
expect 0 q snapshot src --skip-if-unchanged
[ "$(count_snapshots)" = "$before" ] || fail 'an unchanged one was saved'
echo changed >>src/zero
expect 0 q snapshot src --skip-if-unchanged
[ "$(count_snapshots)" = $((before + 1)) ] || fail 'a changed one was not'
# skips yes|no PATH...: whether a snapshot of them is left out.
skips() {
	local want=$1

	shift
	expect 0,3 q snapshot --skip-if-unchanged "$@"
	if [ "$want" = yes ]; then
		prints 'nothing has changed'
	else
		prints 'snapshot [0-9a-f]* saved'
	fi
}

# Of the folders on the way to what is named only that is there, not their times.
mkdir -p way/down/whole/inner
echo one >way/down/file
echo two >way/down/whole/inner/file
for base in '' "$work/"; do
	for names in "way/down/file" "way/down/whole way/down/file" \
		"way/down/whole way/down/whole/inner/file"; do
		paths=()
		for name in $names; do
			paths+=("$base$name")
		done
		skips no "${paths[@]}"
		touch -d '2020-01-01' way
		touch way/down
		skips yes "${paths[@]}"
		touch -d '2021-01-01' way
	done
done
touch way/down/whole
skips no way/down/whole
skips yes way/down/whole
skips no way/down/whole way/down/file
mv way/down/file aside
skips no way/down/whole way/down/file # what is gone is a change
mv aside way/down/file
(cd way/down && skips no . && skips yes . && touch whole && skips no .)

expect 0 q snapshot src --force
expect 0 q snapshot src --compression max --read-concurrency 1 --no-scan
expect 1 q snapshot src --compression silly
expect 0 q backup src -q
[ ! -s out ] || fail 'says something though quiet'

noise stdin 500000 >piped
last='snapshot --stdin'
"$qstore" snapshot --stdin --stdin-filename piped.bin <piped >out 2>err ||
	fail 'exit not 0'
expect 0 q dump latest /piped.bin
cmp -s out piped || fail 'what came in by the pipe is not the same'

id=$(latest)
expect 0 q tag --set red "$id"
expect 0 q tag --add green "$id"
expect 0 q tag --remove red "$id"
expect 0 q snapshots --json --tag green
prints green
expect 0 q snapshots --tag red --json
says_not '"id"' "$work/out"

# The store and the cache are never part of a snapshot of what holds them.
expect 0 q snapshot "$work"
names latest | grep -qE "^$work/(store|cache)/.*[0-9a-f]{16}" &&
	fail 'the store is in its own snapshot'
expect 0 q check --read-data
