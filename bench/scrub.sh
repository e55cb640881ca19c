#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Measures `qstore-hub scrub` on files that are in the page cache, beside b2sum
# -l 256 in one lane on the same files; prints GB/s (10^9), medians.
set -euo pipefail

usage() {
	cat <<'TXT'
usage: bench/scrub.sh [-s MIB] [-n ROUNDS] [-w WORKDIR] [-q PROGRAMS] [-t THREADS]

Makes a store of MIB (4096) of random objects of all class sizes in a folder of
WORKDIR (default: in /dev/shm), and removes it.  PROGRAMS is the folder that
qstore and qstore-hub are in (build/release).
Targets: fast 2 GB/s, full 3 times b2sum.
TXT
}

size=4096 rounds=3 work=/dev/shm programs=build/release threads=
while getopts 's:n:w:q:t:h' opt; do
	case $opt in
	s) size=$OPTARG ;;
	n) rounds=$OPTARG ;;
	w) work=$OPTARG ;;
	q) programs=$OPTARG ;;
	t) threads=$OPTARG ;;
	*) usage; exit 1 ;;
	esac
done
for tool in b2sum /usr/bin/python3 "$programs/qstore" "$programs/qstore-hub"; do
	command -v "$tool" >/dev/null || { echo "scrub.sh: $tool is missing" >&2; exit 1; }
done
programs=$(readlink -f "$programs")
work=$(mktemp -d "$work/qstore-scrub-XXXXXX")
trap 'rm -rf "$work"' EXIT
export HOME=$work XDG_CACHE_HOME=$work/cache XDG_STATE_HOME=$work/state
export QSTORE_ARGON=min

(umask 077 && echo benchmark-passphrase >"$work/pass")
"$programs/qstore" -r "$work/store" --password-file "$work/pass" init \
	--no-confirm >/dev/null 2>&1
folder=$(find "$work/store" -mindepth 1 -maxdepth 1 -type d)

# Most bytes are in whole packs, most files may not be: half the bytes in
# objects of 16 MiB, the rest in the smaller classes.
/usr/bin/python3 - "$folder/obj" "$size" <<'PY'
import hashlib, os, sys
top, left = sys.argv[1], int(sys.argv[2]) << 20
classes = [1 << n for n in (24, 24, 24, 23, 23, 22, 22, 21, 20, 19, 18, 17, 16)]
i = 0
while left > 0:
    size = classes[i % len(classes)]
    data = os.urandom(size)
    name = hashlib.blake2b(data, digest_size=32).hexdigest()
    os.makedirs(f"{top}/{name[:2]}", mode=0o700, exist_ok=True)
    with open(f"{top}/{name[:2]}/{name}", "wb") as file:
        file.write(data)
    left -= size
    i += 1
PY
files=$work/files
find "$folder/obj" -type f >"$files"
bytes=$(xargs -d '\n' stat -c %s <"$files" | awk '{ sum += $1 } END { print sum }')
echo "scrub.sh: $(wc -l <"$files") objects, $bytes bytes, $(nproc) processors"

scrub() {
	"$programs/qstore-hub" scrub --anew ${threads:+--threads "$threads"} \
		"$@" "$work/store" >"$work/log" || {
		cat "$work/log" >&2
		exit 1
	}
}

one_lane() {
	xargs -d '\n' b2sum -l 256 <"$files" >/dev/null
}

measure() { # NAME COMMAND...
	local name=$1 round start end

	shift
	for round in $(seq "$rounds"); do
		start=$(date +%s%N)
		"$@"
		end=$(date +%s%N)
		echo "$bytes $start $end" | awk '{ printf "%.3f\n", $1 / ($3 - $2) }'
	done | sort -n | awk -v name="$name" '
		{ rate[NR] = $1 }
		END { printf "%-8s %6.3f GB/s (%.3f to %.3f)\n", name,
			rate[int((NR + 1) / 2)], rate[1], rate[NR] }'
}

scrub --full # makes the catalogue, and the cache warm
measure fast scrub --fast
measure full scrub --full
measure b2sum one_lane
