#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Builds and tests everything: ./test.sh; the quick part on one build: ./test.sh
# quick.  Exit 0 only when all passed.  Logs: build/PRESET/Testing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
	cat <<'USAGE'
usage: ./test.sh [quick]

With no word: gcc and clang builds without warnings, all tests, then the unit
tests, the fuzz corpora and a part of the command line scenarios under
AddressSanitizer and UBSan, and what has threads under ThreadSanitizer.
quick: one build, unit tests, fuzz corpora, style and vectors.
USAGE
}

mode=all
case ${1:-} in
'') ;;
quick) mode=quick ;;
*)
	usage
	[ "$1" = -h ] || [ "$1" = --help ] || exit 1
	exit 0
	;;
esac

# shellcheck source=packaging/deps.sh
. packaging/deps.sh
deps_install tests

jobs=$(nproc)
# Argon2 takes memory, and each scenario starts programs with threads.
[ "$jobs" -le 8 ] || jobs=8

step() {
	printf '\n== %s (%d s)\n' "$1" "$SECONDS"
}

build() { # PRESET
	local log

	step "build $1"
	log=$(mktemp)
	if cmake --preset "$1" >"$log" 2>&1 &&
		cmake --build --preset "$1" -j "$jobs" >>"$log" 2>&1; then
		grep '^-- tests:' "$log" || true
		tail -n 1 "$log"
		rm -f "$log"
	else
		tail -n 60 "$log"
		rm -f "$log"
		return 1
	fi
}

# run NAME PRESET CTEST-OPTION...: runs the tests, remembers the closing line.
closing=()
failed=0
run() {
	local name=$1 preset=$2 log got=0

	shift 2
	step "$name"
	log=$(mktemp)
	ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure "$@" |
		tee "$log" || got=1
	closing+=("$name: $(grep -E '^[0-9]+% tests passed' "$log" ||
		echo 'no test was run')")
	grep -qE '^100% tests passed' "$log" || got=1
	rm -f "$log"
	[ "$got" = 0 ] || failed=1
}

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

if [ "$mode" = quick ]; then
	build ci
	run 'quick tests' ci -LE cli
else
	build ci
	build ci-clang
	build asan
	build tsan
	run 'AddressSanitizer and UBSan' asan -L 'unit|fuzz|quick'
	run 'ThreadSanitizer' tsan -R \
		'^(unit\.(base|index|source|store_dir|store_hub|scrub|create|create_trouble|restore|check)|cli\.09-options)$'
	run 'all tests' ci
fi

printf '\n'
printf '%s\n' "${closing[@]}"
printf 'took %d s\n' "$SECONDS"
exit "$failed"
