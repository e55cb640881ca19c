#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Builds qstore and shows it at work on a copy of a directory of yours.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source_tree=$PWD

usage() {
	cat <<'USAGE'
usage: ./quickstart.sh [--keep] [DIR]

Installs what the build needs, builds qstore, makes a store in a temporary
place, takes two snapshots of DIR (default: this source tree), restores the
second one and compares it with what was saved, and opens the same store through a
hub. DIR is only read: what is changed
between the snapshots is a copy. All is removed at the end, but with --keep.
USAGE
}

keep=false
dir=$source_tree
for word in "$@"; do
	case $word in
	--keep) keep=true ;;
	-h | --help)
		usage
		exit 0
		;;
	-*)
		usage >&2
		exit 1
		;;
	*) dir=$word ;;
	esac
done
[ -d "$dir" ] || {
	echo "quickstart: $dir: is no directory" >&2
	exit 1
}
dir=$(cd "$dir" && pwd -P)

say() {
	printf '\n== %s\n' "$*"
}
show() {
	printf '$ %s\n' "$*"
	"$@"
}

say 'Packages'
# shellcheck source=packaging/deps.sh
. packaging/deps.sh
deps_install build

say 'Build'
log=$(cmake --preset release 2>&1) || {
	printf '%s\n' "$log" >&2
	exit 1
}
cmake --build --preset release | tail -n 2
qstore=$source_tree/build/release/qstore
PATH=$source_tree/build/release:$PATH

place=$(mktemp -d "${TMPDIR:-/tmp}/qstore-quickstart.XXXXXXXX")
clean_up() {
	local code=$?

	if $keep; then
		echo "kept: $place"
	else
		chmod -R u+rwx "$place" 2>/dev/null || true
		rm -rf "$place"
	fi
	[ "$code" = 0 ] || echo "quickstart: failed (exit $code)" >&2
	exit "$code"
}
trap clean_up EXIT

# What is changed is never yours: a copy, or, of a large DIR, a file beside it.
mkdir "$place/files"
size=$(du -sk --apparent-size "$dir" 2>/dev/null | cut -f1 || true)
if [ "${size:-0}" -lt 1048576 ]; then
	copy=$place/files/$(basename "$dir")
	cp -a --reflink=auto "$dir" "$copy" || echo 'some files were not copied'
	# A build is no source.
	[ "$dir" != "$source_tree" ] || rm -rf "$copy/build"
	changed=$copy/quickstart-note.txt
	targets=("$copy")
else
	echo "$dir is larger than 1 GB: it is read where it is"
	changed=$place/files/quickstart-note.txt
	targets=("$dir" "$place/files")
fi
echo 'first version' >"$changed"

say 'A store, with a passphrase'
export QSTORE_REPOSITORY=$place/store QSTORE_PASSWORD_FILE=$place/passphrase
export XDG_CACHE_HOME=$place/cache XDG_STATE_HOME=$place/state
export XDG_CONFIG_HOME=$place/config
(
	umask 077
	head -c 15 /dev/urandom | base32 | tr 'A-Z' 'a-z' >"$QSTORE_PASSWORD_FILE"
)
show qstore init --no-confirm

# Exit 3: a file could not be read, and was named; the rest is saved.
snapshot() {
	local code=0

	show qstore snapshot "$@" || code=$?
	[ "$code" = 0 ] || [ "$code" = 3 ] || return "$code"
	[ "$code" = 0 ] || partly=true
}
partly=false

say 'First snapshot'
snapshot "${targets[@]}"

say 'One file changes; second snapshot: only that is stored'
echo 'second version' >"$changed"
snapshot "${targets[@]}"

say 'What there is'
show qstore snapshots

say 'Restore, and compare with what was saved'
privileged=()
[ "$(id -u)" != 0 ] || privileged=(--privileged)
show qstore restore latest --target "$place/restored" \
	${privileged[@]+"${privileged[@]}"} || $partly
for target in "${targets[@]}"; do
	if $partly; then
		echo "$target: not all of it could be read: not compared"
	elif command -v rsync >/dev/null; then
		difference=$(rsync -aHAXn --checksum --delete -i "$target/" \
			"$place/restored$target/")
		[ -z "$difference" ] || {
			echo "DIFFERENT: $difference"
			exit 1
		}
		echo "$target: the same, bytes and attributes"
	else
		diff -r --no-dereference "$target" "$place/restored$target"
		echo "$target: the same bytes"
	fi
done
show qstore check --read-data

say 'The same store through a hub: a process without a key'
show qstore -r "exec:qstore serve --store '$QSTORE_REPOSITORY'" snapshots
show qstore status "$QSTORE_REPOSITORY"

cat <<NEXT

== Done. To go on with files of your own:

  export PATH=$(dirname "$qstore"):\$PATH
  qstore init -r /media/disk/store        # asks for a passphrase; note the code
  qstore snapshot -r /media/disk/store ~/Pictures
  qstore restore -r /media/disk/store latest --target /tmp/back
  qstore snapshot -r ssh://HOST/PATH ~/Pictures   # a hub: docs/HUB.md
  qstore help

NEXT
