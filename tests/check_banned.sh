#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Fails on functions and habits that the house style bans.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bad=0
libraries=$(ls -d base crypto chunker store index patterns snapshot sync \
	remote-onedrive fuse wire hub 2>/dev/null || true)
everything="$libraries cli"

ban() { # WHY PATTERN FOLDER...
	local why=$1 pattern=$2 found
	shift 2
	# Comments may talk about anything: // is not used, so what is left of
	# a line after its /* ... */ is taken out, and lines that begin with *.
	found=$(grep -nE --include='*.[ch]' -r "$pattern" "$@" |
		sed -E 's:/\*.*\*/::' |
		grep -vE '^[^:]+:[0-9]+:[[:space:]]*(/\*|\*)' |
		grep -E "$pattern" || true)
	if [ -n "$found" ]; then
		printf '%s:\n%s\n' "$why" "$found" >&2
		bad=1
	fi
}

w='(^|[^A-Za-z0-9_])'
# base may leave a child after a failed exec.
# shellcheck disable=SC2086
{
	ban 'unbounded copy' "$w(strcpy|strcat|sprintf|vsprintf|gets|stpcpy)\(" \
		$everything
	ban 'no errors seen' "$w(atoi|atol|atoll|atof)\(" $everything
	ban 'hidden state' "$w(strtok|rand|srand|random|tmpnam|mktemp|asctime|ctime|localtime|gmtime|readdir_r)\(" $everything
	ban 'stack' "$w(alloca|setjmp|longjmp)\(" $everything
	ban 'shell' "$w(system|popen)\(" $everything
	ban 'old signals' "$w(signal|siginterrupt)\(" $everything
	ban 'typedef of a struct' '^typedef (struct|union)' $everything
	ban 'detached thread' 'pthread_detach|PTHREAD_CREATE_DETACHED' $everything
	ban 'locale in a library' "$w(setlocale)\(" $libraries
	ban 'a library that prints' \
		"$w(printf|puts|putchar|perror|errx|warnx)\(|stdout" \
		$libraries
	ban 'a library that exits' "$w(exit|_exit|_Exit|quick_exit)\(" \
		${libraries#base}
	ban 'line comment' '^[[:space:]]*//' $everything
}

while read -r file; do
	head -2 "$file" | grep -q 'SPDX-License-Identifier: ISC' || {
		echo "$file: has no SPDX line" >&2
		bad=1
	}
done < <(find . \( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' \) \
	-not -path './build*' -not -path './.git/*')

if grep -rnI --exclude-dir=.git --exclude-dir='build*' -e $'[ \t]$' \
	--include='*.[ch]' --include='*.sh' --include='*.py' . >&2; then
	echo 'trailing blanks' >&2
	bad=1
fi
exit $bad
