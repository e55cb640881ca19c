#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Fails when a command's help is wider than a screen, when a command or option
# that it tells of is missing from the man page or the completion, or when a
# man page has a fault that groff sees.  $1: where the programs were built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

built=$1
bad=0
complain() {
	echo "$*" >&2
	bad=1
}

options() { # of a help text
	grep -oE -- '(^| )--[a-z][a-z-]+' | tr -d ' ' | sort -u
}

# The part of a page that is about one command: .SS WORD to the next .S
part() { # PAGE WORD
	awk -v word="$2" '/^\.S[SH]/ { on = $2 == word } on' "$1"
}

# HELP is in a file; PAGE: what has to tell of it, too.
check_help() { # WHAT PAGE WORD HELP
	local option

	grep -nE '^.{81,}' "$4" >&2 && complain "$1: over 80 columns"
	part "$2" "$3" >"$tmp/part"
	[ -s "$tmp/part" ] || complain "$2: has no .SS $3"
	for option in $(options <"$4"); do
		case $option in --help) continue ;; esac
		# In a man page a hyphen that is typed is \-
		grep -qF -- "${option//-/\\-}" "$tmp/part" ||
			complain "$2: .SS $3 says nothing of $option"
	done
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
here='serve scrub status tidy hub-undelete'

"$built/qstore" help >"$tmp/help"
"$built/qstore" help options >>"$tmp/help"
grep -nE '^.{81,}' "$tmp/help" >&2 && complain 'qstore help: over 80 columns'
awk '/^\.SH/ { on = /OPTIONS OF ALL/ } on' docs/qstore.1 >"$tmp/part"
for option in $(options <"$tmp/help"); do
	grep -qF -- "${option//-/\\-}" "$tmp/part" ||
		complain "docs/qstore.1: says nothing of $option"
done

"$built/qstore" completion bash >"$tmp/completion"
cmp -s "$tmp/completion" completions/qstore.bash ||
	complain 'completions/qstore.bash: is not what qstore completion says'
commands=$("$built/qstore" help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p')
for command in $commands; do
	"$built/qstore" help "$command" >"$tmp/help"
	case " $here " in
	*" $command "*)
		check_help "help $command" docs/qstore-hub.1 \
			"${command#hub-}" "$tmp/help"
		grep -qE "^\.SS (.*, )?${command//-/.-}(,|$)" docs/qstore.1 ||
			complain "docs/qstore.1: does not name $command"
		;;
	*) check_help "help $command" docs/qstore.1 "$command" "$tmp/help" ;;
	esac
	grep -F -- " $command" completions/qstore.bash >/dev/null ||
		complain "completion: does not know $command"
	# The case label of this command; an alias may follow its name.
	sed -n "s/^\t$command\(|[a-z]*\)*) all+*=//p" completions/qstore.bash \
		>"$tmp/part"
	for option in $(options <"$tmp/help"); do
		case $option in --help) continue ;; esac
		grep -qE -- "$option( |')" "$tmp/part" ||
			complain "completion: $command lacks $option"
	done
done

for page in docs/*.1; do
	grep -q "qstore $("$built/qstore" version | cut -d' ' -f2 | tr -d ,)" \
		"$page" || complain "$page: of another version"
	command -v groff >/dev/null || continue
	groff -man -Tutf8 -ww -rLL=80n "$page" 2>&1 >/dev/null |
		grep . >&2 && complain "$page: groff complains"
done
exit $bad
