#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""read_random.py FILE SECONDS [SEED]: reads of 4 KiB at random places that
nobody has read yet; prints "p50_us p99_us reads_per_second"."""
import os
import random
import sys
import time

fd = os.open(sys.argv[1], os.O_RDONLY)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
pages = os.fstat(fd).st_size // 4096
rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
times, end = [], time.monotonic() + float(sys.argv[2])
begin = time.monotonic()
while time.monotonic() < end and len(times) < 20000:
    at = rng.randrange(pages) * 4096
    t = time.perf_counter()
    os.pread(fd, 4096, at)
    times.append(time.perf_counter() - t)
wall = time.monotonic() - begin
times.sort()
print("%.1f %.1f %.0f" % (times[len(times) // 2] * 1e6,
                          times[len(times) * 99 // 100] * 1e6,
                          len(times) / wall))
