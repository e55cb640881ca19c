#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A pack that was away for a while and is back is used again.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

small_tree src
new_store
expect 0 q snapshot src
cp -a store good
pack=$(find store -path '*/obj/*' -type f -printf '%s %p\n' | sort -n |
	tail -1 | cut -d' ' -f2)

# A disk that was not there, a cloud client that had not finished: check says
# so; when the pack is back, nothing may remember that it was not.
for harm in "rm $pack" "truncate -s -1000 $pack"; do
	for look in check 'check --read-data' 'restore latest:/src --target away'; do
		$harm
		# What was cut off may be padding: then restore finds all.
		case "$look $harm" in
		restore*truncate*) codes=0,1,3 ;;
		*) codes=1,3 ;;
		esac
		rm -rf away
		# shellcheck disable=SC2086 # words, not one word
		expect "$codes" q $look
		if [ "$look" != "${look#restore}" ] && [ "${rc:-}" = 0 ]; then
			same src away
		fi
		rm -rf store out1
		cp -a good store
		expect 0 q restore latest:/src --target out1
		same src out1
		expect 0 q check --read-data
	done
done
