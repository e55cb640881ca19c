#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Compares qstore mount with restic mount, borg mount and gocryptfs, and with a
# FUSE mount that has nothing to do, in turn, several rounds; prints medians with
# the spread and writes a CSV.
set -euo pipefail

usage() {
	cat <<'TXT'
usage: bench/mounts.sh [-n ROUNDS] [-w WORKDIR] [-q BUILD] [-o CSV] [-p] C1 C2 [C3]

C1: a source tree, C2: a folder with one large file (see bench/corpora.sh).
WORKDIR (default: a folder in /dev/shm) holds the repositories. BUILD has qstore
and fuse_ceiling (default: build/release). Every row is measured on a fresh
mount, so nothing is cached but the repository's own files. -p: only qstore and
the ceiling. Needs root (caches are dropped by mounting anew, not by asking).

operations: list = mounted until the first ls of the snapshot is done; names =
find; stat = find -ls; tar = tar cf - | cat; dd = 1 GiB from front to back in
1 MiB reads; rand = 4 KiB reads at random places, p50 in us. rss is the mounting
process' peak in MB after the operation.
TXT
}

rounds=3 work='' build=build/release csv=/dev/null peers='restic borg gocryptfs'
while getopts 'n:w:q:o:ph' opt; do
	case $opt in
	n) rounds=$OPTARG ;;
	w) work=$OPTARG ;;
	q) build=$OPTARG ;;
	o) csv=$OPTARG ;;
	p) peers='' ;;
	*) usage; exit 1 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || { usage; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
c1=$(readlink -f "$1") c2=$(readlink -f "$2")
big=$(cd "$c2" && find . -type f -size +1023M | head -1)
qstore=$(readlink -f "$build/qstore") ceiling=$(readlink -f "$build/fuse_ceiling")
work=$(mktemp -d "${work:-/dev/shm}/qstore-mounts-XXXXXX")
m=$work/m
mkdir "$m"
cleanup() {
	umount -l "$m" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

export XDG_CACHE_HOME=$work/cache XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config
export RESTIC_PASSWORD=benchmark-passphrase BORG_PASSPHRASE=benchmark-passphrase
export BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes
export QSTORE_REPOSITORY=$work/q QSTORE_PASSWORD_FILE=$work/pass
(umask 077 && echo benchmark-passphrase >"$work/pass")

echo 'saving ...' >&2
"$qstore" -q init --no-recovery >/dev/null
"$qstore" -q snapshot --tag c1 "$c1" >/dev/null
"$qstore" -q snapshot --tag c2 --compression off "$c2" >/dev/null
"$qstore" -q unlock --timeout 4h
for peer in $peers; do
	case $peer in
	restic)
		restic -q -r "$work/r" init
		restic -q -r "$work/r" backup --tag c1 "$c1"
		restic -q -r "$work/r" backup --tag c2 "$c2"
		;;
	borg)
		borg init -e repokey-blake2 "$work/b"
		borg create --compression lz4 "$work/b::c1" "$c1"
		borg create --compression lz4 "$work/b::c2" "$c2"
		;;
	gocryptfs)
		mkdir "$work/g"
		gocryptfs -q -init -passfile "$work/pass" "$work/g"
		gocryptfs -q -passfile "$work/pass" "$work/g" "$m"
		cp -a "$c2" "$m/c2"
		fusermount3 -u "$m"
		;;
	esac
done

# attach TOOL: mounts; $pid and $tree1, $file2 are set.
attach() {
	case $1 in
	qstore)
		"$qstore" mount -f "$m" >/dev/null 2>&1 &
		pid=$!
		tree1=$m/tags/c1/*$c1 file2="$m/tags/c2/*$c2/$big"
		;;
	restic)
		restic -r "$work/r" mount "$m" >/dev/null 2>&1 &
		pid=$!
		tree1=$m/tags/c1/latest$c1 file2="$m/tags/c2/latest$c2/$big"
		;;
	borg)
		borg mount -f "$work/b" "$m" >/dev/null 2>&1 &
		pid=$!
		tree1=$m/c1$c1 file2="$m/c2$c2/$big"
		;;
	gocryptfs)
		gocryptfs -q -fg -passfile "$work/pass" "$work/g" "$m" >/dev/null 2>&1 &
		pid=$!
		tree1=$m file2="$m/c2/$big"
		;;
	ceiling)
		"$ceiling" "$m" 4800 16 16384 >/dev/null 2>&1 &
		pid=$!
		tree1=$m file2=$m/big
		;;
	esac
	for _ in $(seq 3000); do
		if grep -q " $m fuse" /proc/mounts; then return; fi
		sleep 0.01
	done
	echo "mounts.sh: $1 does not mount" >&2
	exit 1
}

detach() { # TOOL OPERATION
	local rss
	rss=$(awk '/VmHWM/ { print $2 / 1000 }' "/proc/$pid/status" 2>/dev/null || echo 0)
	echo "$1,$2-rss,$rss" >>"$work/raw"
	umount "$m" 2>/dev/null || fusermount3 -uz "$m"
	wait "$pid" 2>/dev/null || true
}

: >"$work/raw"
note() { # TOOL OPERATION VALUE
	echo "$1,$2,$3" >>"$work/raw"
}

timed() { # TOOL OPERATION COMMAND...: wall seconds
	local tool=$1 op=$2 begin end
	shift 2
	begin=$EPOCHREALTIME
	"$@" >/dev/null
	end=$EPOCHREALTIME
	note "$tool" "$op" "$(awk -v a="$begin" -v b="$end" 'BEGIN { printf "%.3f", b - a }')"
}

# shellcheck disable=SC2086 # tree1 and file2 hold a pattern
one() { # TOOL
	local tool=$1 begin
	if [ "$tool" != gocryptfs ]; then
		begin=$EPOCHREALTIME
		attach "$tool"
		ls $tree1 >/dev/null
		note "$tool" list "$(awk -v a="$begin" -v b="$EPOCHREALTIME" \
			'BEGIN { printf "%.3f", b - a }')"
		timed "$tool" names find $tree1
		detach "$tool" names
		attach "$tool"
		timed "$tool" stat find $tree1 -ls
		detach "$tool" stat
		attach "$tool"
		if [ "$tool" = ceiling ]; then
			timed "$tool" tar bash -c "tar cf - --exclude=big -C $tree1 . | cat"
		else
			timed "$tool" tar bash -c "tar cf - -C $tree1 . | cat"
		fi
		detach "$tool" tar
	fi
	attach "$tool"
	timed "$tool" dd dd if="$(echo $file2)" bs=1M count=1024 status=none
	detach "$tool" dd
	[ "$tool" != ceiling ] || return 0
	attach "$tool"
	note "$tool" rand "$(/usr/bin/python3 "$here/read_random.py" "$(echo $file2)" 10 | cut -d' ' -f1)"
	detach "$tool" rand
}

for round in $(seq "$rounds"); do
	for tool in qstore $peers ceiling; do
		echo "round $round: $tool" >&2
		one "$tool"
	done
done

cp "$work/raw" "$csv"
/usr/bin/python3 - "$work/raw" <<'PYTHON'
import statistics
import sys

rows = {}
for line in open(sys.argv[1]):
    tool, op, value = line.strip().split(",")
    rows.setdefault((op, tool), []).append(float(value))
ops = ["list", "names", "stat", "tar", "dd", "rand"]
tools = [t for t in ("qstore", "restic", "borg", "gocryptfs", "ceiling")
         if any(tool == t for _, tool in rows)]
print("| operation | " + " | ".join(tools) + " |")
print("|---" * (len(tools) + 1) + "|")
for op in ops:
    cells = []
    for tool in tools:
        values = rows.get((op, tool))
        if not values:
            cells.append("")
            continue
        rss = rows.get((op + "-rss", tool), [0])
        cells.append("%.4g [%.4g-%.4g], %.0f MB" % (
            statistics.median(values), min(values), max(values), max(rss))
            if op != "list" else "%.4g [%.4g-%.4g]" % (
            statistics.median(values), min(values), max(values)))
    print("| %s | %s |" % (op, " | ".join(cells)))
PYTHON
