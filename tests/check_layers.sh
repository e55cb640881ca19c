#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# check_layers.sh BUILD_DIR: fails on an include that the folder's DEPENDS does
# not allow (BUILD_DIR/layers.txt, written by qs_module), on a foreign
# *_internal.h, and on a third-party header outside of the folder that owns it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
layers=${1:?usage: check_layers.sh BUILD_DIR}/layers.txt

# cli measures zstd itself in `qstore benchmark`, so it may see it too.
owners='sodium.h:crypto openssl/:crypto zstd.h:store,cli xxhash.h:hub
	sqlite3.h:index archive.h:snapshot archive_entry.h:snapshot seccomp.h:hub
	curl/:remote-onedrive fuse_lowlevel.h:fuse'

bad=0
complain() {
	echo "$*" >&2
	bad=1
}

allowed_folders() { # FOLDER
	if [ "$1" = cli ]; then
		cut -d: -f1 "$layers" | tr '\n' ' '
	else
		sed -n "s/^$1: *//p" "$layers" | tr ';' ' '
	fi
}

folders=$(cut -d: -f1 "$layers")
for folder in $(printf '%s\n' $folders cli | sort -u); do
	[ -d "$folder" ] || continue
	allowed=" $folder $(allowed_folders "$folder") "
	while IFS=: read -r file line text; do
		name=$(sed -E 's/.*#[[:space:]]*include[[:space:]]*["<]([^">]*)[">].*/\1/' \
			<<<"$text")
		if [[ $text == *\"* ]]; then
			from=${name%%/*}
			if [[ $name != */* ]]; then
				complain "$file:$line: \"$name\": say the folder"
			elif [[ $allowed != *" $from "* ]]; then
				complain "$file:$line: $folder may not use $from"
			elif [[ $name == *_internal.h && $from != "$folder" &&
				$folder-$from != retention-snapshot ]]; then # its other half
				complain "$file:$line: $name is $from's own"
			fi
			continue
		fi
		for pair in $owners; do
			[[ $name == "${pair%%:*}"* ]] || continue
			[[ ,${pair#*:}, == *,$folder,* ]] ||
				complain "$file:$line: <$name> is for ${pair#*:} only"
		done
	done < <(grep -nE '^[[:space:]]*#[[:space:]]*include' "$folder"/*.[ch])
done
exit $bad
