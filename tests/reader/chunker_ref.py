#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The chunker QCDC-1 once more, from docs/FORMAT.md and the standard library.

    chunker_ref.py [FILE]           recompute tests/vectors/chunker.txt; exit 1
                                    if a line differs
    chunker_ref.py --write [FILE]   write it anew
"""
import hashlib
import os
import sys

M64 = (1 << 64) - 1

HEAD = """\
# Chunker QCDC-1 (docs/FORMAT.md).  Written by tests/reader/chunker_ref.py.
# params: id c_bits d_bits window s_small s_large min nrm max
# input: the first so many bytes of BLAKE2b-512(LE64(0)), BLAKE2b-512(LE64(1))
# ...; input_hash is its BLAKE2b-256.  cuts: where the chunks end.
"""

VECTORS = [
    # (ds, params, length of the input)
    (bytes(range(0x80, 0xa0)),
     (1, 7, 13, 32, 13, 9, 65536, 262144, 1048576), 2 << 20),
    (bytes(range(0x00, 0x20)),
     (1, 8, 9, 32, 5, 3, 1000, 4001, 9000), 150001),
    (bytes(range(0xe0, 0x100)),
     (1, 7, 0, 32, 3, 1, 64, 100, 4 << 20), 20000),
]


def le(data):
    return int.from_bytes(data, "little")


def b2b(size, key, tag, msg):
    return hashlib.blake2b(msg, digest_size=size, key=key,
                           person=b"qstore1:" + tag).digest()


def siphash24(k0, k1, data):
    """SipHash-2-4 of a text whose length is a multiple of 8."""
    v0, v1 = k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d
    v2, v3 = k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573

    def rounds(n, v0, v1, v2, v3):
        for _ in range(n):
            v0 = (v0 + v1) & M64
            v1 = ((v1 << 13 | v1 >> 51) & M64) ^ v0
            v0 = (v0 << 32 | v0 >> 32) & M64
            v2 = (v2 + v3) & M64
            v3 = ((v3 << 16 | v3 >> 48) & M64) ^ v2
            v0 = (v0 + v3) & M64
            v3 = ((v3 << 21 | v3 >> 43) & M64) ^ v0
            v2 = (v2 + v1) & M64
            v1 = ((v1 << 17 | v1 >> 47) & M64) ^ v2
            v2 = (v2 << 32 | v2 >> 32) & M64
        return v0, v1, v2, v3

    blocks = [le(data[i:i + 8]) for i in range(0, len(data), 8)]
    for m in blocks + [(len(data) & 255) << 56]:
        v0, v1, v2, v3 = rounds(2, v0, v1, v2, v3 ^ m)
        v0 ^= m
    v0, v1, v2, v3 = rounds(4, v0, v1, v2 ^ 255, v3)
    return v0 ^ v1 ^ v2 ^ v3


def derive(ds, c_bits):
    for ctr in range(256):
        x = b2b(64, ds, b"cdc", bytes([ctr]))
        sip = le(x[0:8]), le(x[8:16])
        mul = le(x[16:18]) | 1, le(x[18:20]) | 1, le(x[20:22]) | 1
        add = le(x[22:24])
        if all(((v * 0x0202 * sum(mul) + add) & 0xffff) >> (16 - c_bits)
               for v in range(256)):
            break
    return ctr, sip, mul, add


def is_anchor(p, i, mul, add, c_bits):
    def tap(back):
        return p[i - back - 1] | p[i - back] << 8

    y = (add + mul[0] * (tap(0) + tap(15)) + mul[1] * (tap(5) + tap(20))
         + mul[2] * (tap(10) + tap(25)))
    return (y & 0xffff) >> (16 - c_bits) == 0


def first_chunk(p, params, key):
    """The length of the first chunk of p, which goes to the file's end."""
    _, c_bits, d_bits, window, s_small, s_large, low, nrm, high = params
    _, sip, mul, add = key
    if len(p) <= low:
        return len(p)
    limit = min(len(p), high)
    for i in range(low - 1, limit):
        if not is_anchor(p, i, mul, add, c_bits):
            continue
        r = siphash24(*sip, p[i + 1 - window:i + 1])
        s = s_small if i + 1 < nrm else s_large
        if r >> (64 - s) == 0:
            return min(i + 1 + (r & ((1 << d_bits) - 1)), limit)
    return limit


def cuts(data, params, key):
    ends, at = [], 0
    while at < len(data):
        # Slices of a memoryview are not copied.
        at += first_chunk(memoryview(data)[at:], params, key)
        ends.append(at)
    return ends


def make_input(size):
    blocks = (hashlib.blake2b(i.to_bytes(8, "little")).digest()
              for i in range((size + 63) // 64))
    return b"".join(blocks)[:size]


def text():
    out = [HEAD]
    for ds, params, size in VECTORS:
        data = make_input(size)
        key = derive(ds, params[1])
        ctr, sip, mul, add = key
        out.append("\n".join([
            "",
            "ds " + ds.hex(),
            "params " + " ".join(map(str, params)),
            "input %d" % size,
            "input_hash " + hashlib.blake2b(data, digest_size=32).hexdigest(),
            "ctr %d" % ctr,
            "sip %016x %016x" % sip,
            "mul %04x %04x %04x" % mul,
            "add %04x" % add,
            "cuts " + " ".join(map(str, cuts(data, params, key))),
            ""]))
    return "".join(out)


def main(args):
    write = args[:1] == ["--write"]
    args = args[1:] if write else args
    here = os.path.dirname(os.path.abspath(__file__))
    path = args[0] if args else os.path.join(
        here, "..", "vectors", "chunker.txt")
    if siphash24(0x0706050403020100, 0x0f0e0d0c0b0a0908, bytes(range(8))) \
            != 0x93f5f5799a932462:
        print("siphash24 is wrong")
        return 1
    fresh = text()
    if write:
        with open(path, "w", encoding="ascii") as f:
            f.write(fresh)
        return 0
    with open(path, encoding="ascii") as f:
        stored = f.read()
    if stored == fresh:
        print("chunker vectors: same")
        return 0
    for a, b in zip(stored.splitlines(), fresh.splitlines()):
        if a != b:
            print("stored   %s\ncomputed %s" % (a[:300], b[:300]))
    print("chunker vectors: DIFFERENT")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
