#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Eight readers at random places of all files at once, with a cache far too small
# for them; QS_STRESS_SECONDS (4) long.  Meant for the sanitizers.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_fuse
new_store
mkdir -p src/many mnt
noise a 9000000 >src/a
noise b 5000000 >src/b
seq 600000 >src/text
truncate -s 20M src/holes
noise c 100000 | dd of=src/holes bs=1M seek=7 conv=notrunc status=none
/usr/bin/python3 - <<'P'
import hashlib
for i in range(1, 301):
    with open("src/many/%d" % i, "wb") as file:
        file.write(hashlib.shake_256(b"%d" % i).digest(i * 17))
P
expect 0 q snapshot src
"$qstore" mount -f --cache-size 8M mnt >front 2>&1 &
pid=$!
wait_for "grep -q mounted front"
unmount=("$work/mnt")
cat >reader.py <<'P'
import os, random, sys, time
seconds, a, b, seed = float(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
rng = random.Random(seed)
files = [os.path.relpath(os.path.join(d, f), a) for d, _, fs in os.walk(a) for f in fs]
end, reads = time.monotonic() + seconds, 0
while time.monotonic() < end:
    name = rng.choice(files if rng.random() < 0.5 else ["a", "b", "text", "holes"])
    fa, fb = (os.open(os.path.join(d, name), os.O_RDONLY) for d in (a, b))
    # Away with what the kernel has of it: the mount is to be asked.
    os.posix_fadvise(fb, 0, 0, os.POSIX_FADV_DONTNEED)
    size = os.fstat(fb).st_size
    for _ in range(8):
        at, n = rng.randrange(size + 1), rng.choice((1, 4096, 65536, 400000))
        assert os.pread(fa, n, at) == os.pread(fb, n, at), (name, at, n)
        reads += 1
    os.close(fa), os.close(fb)
    if rng.random() < 0.1:
        d = os.path.join(b, rng.choice(("", "many")))
        assert sorted(os.listdir(d)) == sorted(os.listdir(d.replace(b, a, 1)))
        os.listxattr(d)
print(reads)
P
pids=()
for i in 1 2 3 4 5 6 7 8; do
	/usr/bin/python3 reader.py "${QS_STRESS_SECONDS:-4}" src mnt/latest/src "$i" >"reads$i" 2>&1 &
	pids+=($!)
done
for i in "${!pids[@]}"; do
	wait "${pids[i]}" || fail "a reader: $(tail -3 "reads$((i + 1))")"
done
echo "reads: $(cat reads? | tr '\n' ' ')"
kill $pid
wait $pid || fail "exit $?: $(tail -20 front)"
unmount=()
! grep -qE 'Sanitizer|runtime error|warning' front || fail "$(tail -20 front)"
