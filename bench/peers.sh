#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Compares qstore with restic and borg on the same data, one after the other in
# turn, several rounds; prints medians with the spread and writes a CSV.
set -euo pipefail

usage() {
	cat <<'TXT'
usage: bench/peers.sh [-n ROUNDS] [-w WORKDIR] [-q QSTORE] [-o CSV] CORPUS...

CORPUS is the path of a folder made by bench/corpora.sh (its last part names
it; c2 is saved without compression, as random data).  WORKDIR holds the
repositories and restored files (default: a folder in /dev/shm; give one on a
disk to measure that).  Every tool's source is warm in the page cache.
qstore runs with its key in the kernel's keyring (as after `qstore unlock`);
the rows "+kdf" are the same commands with the passphrase's Argon2id.
TXT
}

rounds=3 work='' qstore=build/release/qstore csv=/dev/stdout
while getopts 'n:w:q:o:h' opt; do
	case $opt in
	n) rounds=$OPTARG ;;
	w) work=$OPTARG ;;
	q) qstore=$OPTARG ;;
	o) csv=$OPTARG ;;
	*) usage; exit 1 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { usage; exit 1; }
for tool in restic borg python3 /usr/bin/time "$qstore"; do
	command -v "$tool" >/dev/null || { echo "peers.sh: $tool is missing" >&2; exit 1; }
done
qstore=$(readlink -f "$qstore")
work=$(mktemp -d "${work:-/dev/shm}/qstore-peers-XXXXXX")
trap 'rm -rf "$work"' EXIT
raw=$work/raw.csv
: >"$raw"

export XDG_CACHE_HOME=$work/cache XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config
export RESTIC_PASSWORD=benchmark-passphrase BORG_PASSPHRASE=benchmark-passphrase
export BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes
mkdir -p "$work/out"
echo benchmark-passphrase >"$work/pass"
chmod 600 "$work/pass"

# run TOOL CORPUS OPERATION COMMAND...: one row of the raw table
run() {
	local tool=$1 corpus=$2 op=$3 rc=0
	shift 3
	/usr/bin/time -o "$work/time" -f '%e,%U,%S,%M' "$@" >"$work/log" 2>&1 || rc=$?
	if [ "$rc" -ne 0 ]; then
		echo "peers.sh: $tool $op on $corpus failed with $rc:" >&2
		tail -n 5 "$work/log" >&2
		exit 1
	fi
	echo "$tool,$corpus,$op,$(tail -n 1 "$work/time")" >>"$raw"
}

size() { # TOOL CORPUS DIR
	echo "$1,$2,store,$(du -sb "$3" | cut -f1),0,0,0" >>"$raw"
}

with_key=("$qstore" --password-file "$work/pass" -r "$work/q")
with_ring=("$qstore" -r "$work/q")

one_qstore() { # SOURCE NAME COMPRESSION
	rm -rf "$work/q" "$work/cache" "$work/state" "$work/out/q"
	"${with_key[@]}" -q init --no-recovery >/dev/null
	"${with_key[@]}" -q unlock --timeout 1h
	run qstore "$2" first "${with_ring[@]}" -q snapshot --compression "$3" "$1"
	size qstore "$2" "$work/q"
	run qstore "$2" unchanged "${with_ring[@]}" -q snapshot --compression "$3" "$1"
	run qstore "$2" restore "${with_ring[@]}" -q restore latest --target "$work/out/q"
	rm -rf "$work/out/q"
	run qstore "$2" check-data "${with_ring[@]}" -q check --read-data
	"${with_ring[@]}" -q lock
	run qstore "$2" unchanged+kdf "${with_key[@]}" -q snapshot --compression "$3" "$1"
	rm -rf "$work/q"
}

one_restic() { # SOURCE NAME COMPRESSION
	local c=auto
	[ "$3" = off ] && c=off
	rm -rf "$work/r" "$work/cache" "$work/out/r"
	restic -q -r "$work/r" init --repository-version 2 >/dev/null
	run restic "$2" first restic -q -r "$work/r" backup --compression "$c" "$1"
	size restic "$2" "$work/r"
	run restic "$2" unchanged restic -q -r "$work/r" backup --compression "$c" "$1"
	run restic "$2" restore restic -q -r "$work/r" restore latest --target "$work/out/r"
	rm -rf "$work/out/r"
	run restic "$2" check-data restic -q -r "$work/r" check --read-data
	rm -rf "$work/r"
}

one_borg() { # SOURCE NAME COMPRESSION
	local c=lz4
	[ "$3" = off ] && c=none
	rm -rf "$work/b" "$work/cache" "$work/out/b"
	mkdir -p "$work/out/b"
	borg init -e repokey-blake2 "$work/b" >/dev/null 2>&1
	run borg "$2" first borg create -C "$c" "$work/b::1" "$1"
	size borg "$2" "$work/b"
	run borg "$2" unchanged borg create -C "$c" "$work/b::2" "$1"
	run borg "$2" restore env -C "$work/out/b" borg extract "$work/b::1"
	rm -rf "$work/out/b"
	run borg "$2" check-data borg check --verify-data "$work/b"
	rm -rf "$work/b"
}

for source; do
	name=$(basename "$source")
	compression=default
	[ "$name" = c2 ] && compression=off
	tar cf - "$source" 2>/dev/null | cat >/dev/null # warm
	for _ in $(seq "$rounds"); do
		one_qstore "$source" "$name" "$compression"
		one_restic "$source" "$name" "$compression"
		[ -n "${SKIP_BORG:-}" ] || one_borg "$source" "$name" "$compression"
	done
done

echo "# $(uname -srm), $(nproc) processors, $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-), $(df --output=fstype "$work" | tail -n 1)" >"$csv"
echo "# $("$qstore" version 2>/dev/null | head -n 1); $(restic version | cut -d' ' -f1,2); $(borg --version); commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)" >>"$csv"
python3 - "$raw" >>"$csv" <<'PY'
import collections, statistics, sys
rows = collections.OrderedDict()
for line in open(sys.argv[1]):
    tool, corpus, op, wall, user, system, rss = line.strip().split(',')
    rows.setdefault((corpus, op, tool), []).append(
        (float(wall), float(user) + float(system), int(rss) // 1024))
print('corpus,operation,tool,median,min,max,cpu,rss_mb,times_qstore')
for (corpus, op, tool), runs in sorted(rows.items()):
    walls = [r[0] for r in runs]
    mine = rows.get((corpus, op, 'qstore'))
    ratio = statistics.median(walls) / max(0.001, statistics.median(
        r[0] for r in mine)) if mine else 0
    print(f'{corpus},{op},{tool},{statistics.median(walls):.2f},'
          f'{min(walls):.2f},{max(walls):.2f},'
          f'{statistics.median(r[1] for r in runs):.2f},'
          f'{max(r[2] for r in runs)},{ratio:.2f}')
PY
