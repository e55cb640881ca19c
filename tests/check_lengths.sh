#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Fails on files over 600 lines, functions over 100 lines and lines over 80
# columns (tabs of 8) in C; says which files are over 400.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

files=$(find . \( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' \) \
	-not -path './build*' -not -path './.git/*' | sort)
bad=0
for file in $files; do
	lines=$(wc -l <"$file")
	if [ "$lines" -gt 600 ]; then
		echo "$file: $lines lines, more than 600" >&2
		bad=1
	elif [ "$lines" -gt 400 ]; then
		echo "$file: $lines lines (the aim is 400)"
	fi
	case $file in *.[ch]) ;; *) continue ;; esac
	LC_ALL=C.UTF-8 expand -t 8 "$file" |
		LC_ALL=C.UTF-8 grep -nE '^.{81,}' | grep -v http | cut -d: -f1 |
		sed "s|.*|$file:&: over 80 columns|" | grep . >&2 && bad=1
	# A function begins with { and ends with } in the first column.
	awk -v file="$file" '
		/^[a-z_].*\(/ { name = $0 }
		/^\{/ { start = NR }
		/^\}/ && start {
			if (NR - start + 1 > 100) {
				print file ":" start ": " NR - start + 1 \
					" lines in " name; bad = 1
			}
			start = 0
		}
		END { exit bad }' "$file" >&2 || bad=1
done
exit $bad
