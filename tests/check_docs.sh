#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Fails when a page names a file or folder of this tree that does not exist, or
# a folder's README.md is missing, too long, or has no line for one of its files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bad=0
complain() {
	echo "$*" >&2
	bad=1
}

tops=$(find . -mindepth 1 -maxdepth 1 -type d ! -name '.git' ! -name 'build*' \
	-printf '%f|' | sed 's/\./\\./g; s/|$//')
pages=$(find . -name '*.md' -not -path './build*' -not -path './.git/*' |
	sort)

# A name with * < { or $ stands for several: only plain ones are looked up.
# shellcheck disable=SC2016 # those are quotes of Markdown
for page in $pages; do
	here=$(dirname "$page")
	while read -r name; do
		case $name in
		*[\*\<\{\$]* | *...*) continue ;;
		esac
		name=${name%%[.,:;)]}
		[ -e "$name" ] || [ -e "$here/$name" ] ||
			complain "$page: there is no $name"
	done < <(grep -oE '`[^` ]+`' "$page" | tr -d '`' |
		grep -E "^(\./)?($tops)/[A-Za-z0-9_./*<{\$-]*$" | sort -u || true)
done

for folder in base crypto chunker store index patterns snapshot retention cli tests sync \
	remote-onedrive fuse wire hub qubes; do
	[ -d "$folder" ] || continue
	if [ ! -f "$folder/README.md" ]; then
		complain "$folder/README.md: is missing"
		continue
	fi
	lines=$(wc -l <"$folder/README.md")
	# tests/ is a tree of folders with a page of its own.
	[ "$lines" -le 30 ] || [ "$folder" = tests ] ||
		complain "$folder/README.md: $lines lines, more than 30"
	[ "$folder" = tests ] && continue
	# A part module_part.c may stand under its module: `module_*.c`.
	for file in "$folder"/*.[ch]; do
		[ -e "$file" ] || continue
		base=$(basename "$file")
		stem=${base%%[._]*}
		grep -qE "(${base//./\\.}|${stem}[a-z_0-9]*\*)" \
			"$folder/README.md" ||
			complain "$folder/README.md: has no line for $base"
	done
done
exit $bad
