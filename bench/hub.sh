#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Compares a store at the other end of a pipe (exec: and the hub) with the same
# store as a directory, in turn, several rounds; prints medians, the spread and
# the ratio of throughputs, and writes a CSV.
set -euo pipefail

usage() {
	cat <<'TXT'
usage: bench/hub.sh [-n ROUNDS] [-w WORKDIR] [-q BUILD] [-o CSV] CORPUS...

CORPUS: folders to be saved (see bench/corpora.sh). WORKDIR (default: a folder in
/dev/shm) holds the stores. BUILD has qstore and qstore-hub (default:
build/release). The key is in the keyring, as in daily use.

operations: first = first snapshot; again = the same with nothing changed;
restore = all of it, to an empty folder. rss: peak of qstore in MB.
TXT
}

rounds=3 work='' build=build/release csv=/dev/null
while getopts 'n:w:q:o:h' opt; do
	case $opt in
	n) rounds=$OPTARG ;;
	w) work=$OPTARG ;;
	q) build=$OPTARG ;;
	o) csv=$OPTARG ;;
	*) usage; exit 1 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 1 ] || { usage; exit 1; }
qstore=$(readlink -f "$build/qstore") hub=$(readlink -f "$build/qstore-hub")
work=$(mktemp -d "${work:-/dev/shm}/qstore-hub-XXXXXX")
trap 'rm -rf "$work"' EXIT
(umask 077 && echo benchmark-passphrase >"$work/pass")
export QSTORE_PASSWORD_FILE=$work/pass QSTORE_ARGON=min
printf 'corpus,place,operation,round,seconds,rss_mb\n' >"$csv"
results=$work/results
: >"$results"

# timed CORPUS PLACE OPERATION ROUND COMMAND...
timed() {
	local corpus=$1 place=$2 operation=$3 round=$4
	shift 4
	/usr/bin/time -o "$work/time" -f '%e %M' "$@" >/dev/null
	read -r seconds kb <"$work/time"
	printf '%s,%s,%s,%s,%s,%s\n' "$corpus" "$place" "$operation" \
		"$round" "$seconds" $((kb / 1024)) | tee -a "$csv" >>"$results"
}

# run CORPUS PLACE ROUND: everything anew
run() {
	local name
	name=$(basename "$1")
	export XDG_CACHE_HOME=$work/x/cache XDG_STATE_HOME=$work/x/state
	export XDG_CONFIG_HOME=$work/x/config QSTORE_REPOSITORY=$work/x/store
	rm -rf "$work/x"
	mkdir -p "$work/x/store"
	[ "$2" = pipe ] &&
		QSTORE_REPOSITORY="exec:exec '$hub' serve --store '$work/x/store'"
	"$qstore" -q init --no-recovery --no-confirm >/dev/null
	"$qstore" -q unlock --timeout 1h
	timed "$name" "$2" first "$3" "$qstore" -q snapshot "$1"
	timed "$name" "$2" again "$3" "$qstore" -q snapshot "$1"
	timed "$name" "$2" restore "$3" "$qstore" -q restore latest \
		--target "$work/x/out"
	"$qstore" -q lock
	rm -rf "$work/x"
}

for round in $(seq "$rounds"); do
	for corpus; do
		for place in directory pipe; do
			run "$(readlink -f "$corpus")" "$place" "$round"
		done
	done
done

printf 'machine: %s, %s processors, Linux %s\n' \
	"$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)" \
	"$(nproc)" "$(uname -r)"
python3 - "$results" <<'PYTHON'
import collections
import statistics
import sys

rows = collections.defaultdict(list)
for line in open(sys.argv[1]):
    corpus, place, operation, _, seconds, rss = line.strip().split(",")
    rows[corpus, operation, place].append((float(seconds), int(rss)))
print("%-8s %-8s %-22s %-22s %-16s %s" % ("corpus", "does", "directory, s",
      "pipe, s", "directory/pipe", "rss of pipe, MB"))
for corpus, operation in sorted({key[:2] for key in rows}):
    there = rows[corpus, operation, "directory"]
    piped = rows[corpus, operation, "pipe"]
    ratios = [a[0] / b[0] for a, b in zip(there, piped)]

    def show(values, form="%.2f"):
        return (form + " (" + form + "-" + form + ")") % (
            statistics.median(values), min(values), max(values))
    print("%-8s %-8s %-22s %-22s %-16s %d" % (corpus, operation,
          show([a[0] for a in there]), show([b[0] for b in piped]),
          show(ratios), max(b[1] for b in piped)))
PYTHON
