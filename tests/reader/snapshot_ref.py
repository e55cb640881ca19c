#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The bytes that snapshots are made of, from docs/FORMAT.md alone.

    snapshot_ref.py           recompute tree.txt, content.txt, index.txt and
                              payload.txt of tests/vectors; exit 1 if a line
                              differs
    snapshot_ref.py --write   write them anew

Needs the standard library only.
"""
import hashlib
import os
import struct
import sys

DS = bytes(range(0x80, 0xa0))
HOLE = bytes(32)

HEADS = {
    "tree": """\
# Known answers of snapshot/: entries of a folder, and tree chunks.  Made by
# tests/reader/snapshot_ref.py; ids with ds = 80..9f, domain 0.  A reference
# (n, len) has 32 bytes of n as its id.
# entry_device: "disk", block 0660, 0:6 "root" "disk", mtime 1700000000 s,
#   rdev 8:17.  entry_fifo: "fifo", 0600, all else 0.
# entry_file: "photo ff .jpg" (ff a byte), 04755, 1000:100 "anna" "users",
#   mtime -5 ns, link group 7, 2 links, xattrs user.a = "x", user.b = "",
#   references (1, 1000), a hole of 2^40, (2, 2^22).
# entry_folder: "sub", 0755, 1000:100, mtime 1 ns, 3 links, depth 1,
#   references (3, 5000), (4, 60).  entry_link: "to", symlink 0777, target
#   "../sub".  entry_partial: "unread", folder 0700, not all of it saved.
#   Links 1 where not said.
# tree_all: the six, as they stand here; tree_empty: without entries.
""",
    "content": """\
# Known answers of snapshot/: contents and their list chunks.  Made by
# tests/reader/snapshot_ref.py; ids with ds = 80..9f, domain 0.  Reference i
# (from 0) of a file is NAME(LE32(i)) with length i + 1, but every seventh
# (6, 13 ...) is a hole of i + 1.
# root_N: the content of N references: u8 depth, then the references that are
# left for the node; root_1024 as its NAME.  list_N_I: the I-th list chunk in
# order of their making (NAME where it is long), list_N_I_id: its id.
# deep: 1024 * 1024 + 1 references, each 32 bytes 01 with length 1.
""",
    "index": """\
# Known answers of snapshot/: an index chunk.  Made by
# tests/reader/snapshot_ref.py; ds = 80..9f, domain 0 for its id.
# Its packs: name 32 times 40, size 2^16, salt 32 times 11, two frames: data,
#   domain 0, raw, 100 bytes | tree, domain 1, zstd, 50 bytes in 40, with chunks
#   0..60 and 60..100 of the first and 0..50 of the second, ids 32 times 01, 02,
#   03.  name 32 times 41, size 2^24, salt 32 times 22, nothing in it.
""",
    "payload": """\
# Known answers of snapshot/: payloads, before the zeros that are added when
# they are sealed.  Made by tests/reader/snapshot_ref.py.
# snapshot: time -5 ns, parent 32 times 04, 1000:1001, totals 1..16 in their
#   order, depth 1, references (7, 5000), (8, 60), host "work", user "anna",
#   program "qstore 1", paths "/home/anna", "/srv/a ff b" (ff a byte), tags
#   "daily", "keep", an index chunk (pack 32 times 03, id 32 times 05, 4000
#   bytes), direct packs 32 times 09 and 0a, heads: device 8 times 01, seq 6,
#   name 32 times 0b, time 7; device 8 times 02, seq 2^64-1, name 0c, time 8.
# snapshot_least: depth 0, one reference (7, 12), all else zero or empty.
# note: of record 32 times 06, tags and heads as above.
# turns: 32 times 06 forgotten, 32 times 07 not, heads as above.
# turns_least: nothing.
# genesis: ds = 80..9f, the chunker of a new folder.
""",
}


def b2b(size, key, tag, msg):
    return hashlib.blake2b(msg, digest_size=size, key=key,
                           person=b"qstore1:" + tag).digest()


def name(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def chunk_id(tag, data):
    return b2b(32, b2b(32, DS, b"cid", b"\0"), tag, data)


def ref(cid, size):
    return cid + struct.pack("<Q", size)


# ------------------------------------------------------------------ tree

FILE, DIR, SYMLINK, FIFO, CHARDEV, BLOCKDEV, SOCKET = range(1, 8)


def entry(kind, label, mode, uid=0, gid=0, user=b"", group=b"", mtime=0,
          link_group=0, links=1, rdev=(0, 0), target=b"", xattrs=(), depth=0,
          refs=(), flags=0):
    attrs = b"".join(struct.pack("<HI", len(key), len(value)) + key + value
                     for key, value in sorted(xattrs))
    size = sum(struct.unpack("<Q", r[32:])[0] for r in refs)
    rest = label + user + group + target + attrs + b"".join(refs)
    return struct.pack(
        "<IBBHIIqQQIIIHHBBHIB3sI", 72 + len(rest), kind, flags, mode, uid, gid,
        mtime, size, link_group, links, *rdev, len(label), len(target),
        len(user), len(group), len(xattrs), len(attrs), depth, bytes(3),
        len(refs)) + rest


def tree_chunk(entries):
    return b"QSTT" + struct.pack("<HHI", 1, 0, len(entries)) + \
        b"".join(entries)


def tree_vectors():
    entries = {
        "entry_device": entry(BLOCKDEV, b"disk", 0o660, 0, 6, b"root",
                              b"disk", 1700000000 * 10**9, rdev=(8, 17)),
        "entry_fifo": entry(FIFO, b"fifo", 0o600),
        "entry_file": entry(
            FILE, b"photo \xff.jpg", 0o4755, 1000, 100, b"anna", b"users", -5,
            7, 2, xattrs=[(b"user.a", b"x"), (b"user.b", b"")],
            refs=[ref(b"\1" * 32, 1000), ref(HOLE, 1 << 40),
                  ref(b"\2" * 32, 1 << 22)]),
        "entry_folder": entry(
            DIR, b"sub", 0o755, 1000, 100, mtime=1, links=3, depth=1,
            refs=[ref(b"\3" * 32, 5000), ref(b"\4" * 32, 60)]),
        "entry_link": entry(SYMLINK, b"to", 0o777, target=b"../sub"),
        "entry_partial": entry(DIR, b"unread", 0o700, flags=1),
    }
    yield from entries.items()
    for which, chunk in (("tree_all", tree_chunk(list(entries.values()))),
                         ("tree_empty", tree_chunk([]))):
        yield which, chunk
        yield which + "_id", chunk_id(b"tree", chunk)


# --------------------------------------------------------------- content

def list_chunk(depth, refs):
    return b"QSTN" + struct.pack("<HBBI", 1, depth, 0, len(refs)) + \
        b"".join(refs)


def content(refs, known=None):
    """(depth, references, list chunks in the order of their making)"""
    known = {} if known is None else known
    depth, levels = 0, []
    while len(refs) > 1024:
        above, made = [], []
        for at in range(0, len(refs), 1024):
            part = refs[at:at + 1024]
            chunk = list_chunk(depth, part)
            if chunk not in known:
                known[chunk] = chunk_id(b"list", chunk)
            made.append(chunk)
            above.append(ref(known[chunk], sum(
                struct.unpack("<Q", r[32:])[0] for r in part)))
        levels.append(made)
        depth, refs = depth + 1, above
    return depth, refs, levels


def content_vectors():
    def numbered(count):
        return [ref(HOLE if i % 7 == 6 else name(struct.pack("<I", i)), i + 1)
                for i in range(count)]

    for count in (3, 1024, 1027):
        depth, refs, levels = content(numbered(count))
        root = bytes([depth]) + b"".join(refs)
        yield "root_%d" % count, root if len(root) < 1024 else name(root)
        for i, chunk in enumerate(levels[0] if levels else []):
            which = "list_%d_%d" % (count, i)
            yield which, chunk if len(chunk) < 1024 else name(chunk)
            yield which + "_id", chunk_id(b"list", chunk)
    depth, refs, _ = content([ref(b"\1" * 32, 1)] * (1024 * 1024 + 1))
    yield "deep", bytes([depth]) + b"".join(refs)


# ------------------------------------------------------------ index chunk

def index_vectors():
    frames = [struct.pack("<IIIBBBB", 160, 116, 100, 0, 1, 0, 0),
              struct.pack("<IIIBBBB", 276, 56, 50, 1, 2, 1, 0)]
    chunks = [struct.pack("<32sIIII", bytes([i + 1]) * 32, *where, 0)
              for i, where in enumerate([(0, 0, 60), (0, 60, 40), (1, 0, 50)])]
    packs = [(b"\x40" * 32, 1 << 16, b"\x11" * 32, frames, chunks),
             (b"\x41" * 32, 1 << 24, b"\x22" * 32, [], [])]
    chunk = b"QSTI" + struct.pack("<HHI", 1, 0, len(packs))
    for pack, size, salt, frames, chunks in packs:
        chunk += struct.pack("<32sII32sII", pack, size, 0, salt, len(frames),
                             len(chunks)) + b"".join(frames + chunks)
    yield "index", chunk
    yield "index_id", chunk_id(b"index", chunk)


# --------------------------------------------------------------- payloads

def string(data):
    return struct.pack("<H", len(data)) + data


def counted(items):
    return struct.pack("<I", len(items)) + b"".join(items)


def snapshot(time, parent, uid, gid, totals, depth, refs, texts, paths, tags,
             indexes, direct, heads):
    return b"QSTS" + struct.pack("<HHq32sII", 1, 1, time, parent, uid, gid) + \
        struct.pack("<16Q", *totals) + struct.pack("<B3s", depth, bytes(3)) + \
        counted(refs) + b"".join(map(string, texts)) + \
        counted(list(map(string, paths))) + \
        counted(list(map(string, tags))) + \
        counted([struct.pack("<32s32sII", *index, 0) for index in indexes]) + \
        counted(direct) + \
        counted([struct.pack("<8sQ32sQ", *head) for head in heads])


def payload_vectors():
    tags = [b"daily", b"keep"]
    heads = [(b"\1" * 8, 6, b"\x0b" * 32, 7),
             (b"\2" * 8, (1 << 64) - 1, b"\x0c" * 32, 8)]
    yield "snapshot", snapshot(
        -5, b"\4" * 32, 1000, 1001, range(1, 17), 1,
        [ref(b"\7" * 32, 5000), ref(b"\x08" * 32, 60)],
        [b"work", b"anna", b"qstore 1"], [b"/home/anna", b"/srv/a\xff b"],
        tags, [(b"\3" * 32, b"\5" * 32, 4000)],
        [b"\x09" * 32, b"\x0a" * 32], heads)
    yield "snapshot_least", snapshot(
        0, bytes(32), 0, 0, [0] * 16, 0, [ref(b"\7" * 32, 12)],
        [b"", b"", b""], [], [], [], [], [])
    yield "note", b"QSTS" + struct.pack("<HH32s", 1, 2, b"\6" * 32) + \
        counted(list(map(string, tags))) + \
        counted([struct.pack("<8sQ32sQ", *head) for head in heads])
    yield "turns", b"QSTS" + struct.pack("<HH", 1, 3) + \
        counted([struct.pack("<32sB7s", bytes([i]) * 32, i == 6, bytes(7))
                 for i in (6, 7)]) + \
        counted([struct.pack("<8sQ32sQ", *head) for head in heads])
    yield "turns_least", b"QSTS" + struct.pack("<HHII", 1, 3, 0, 0)
    yield "genesis", b"QSTG" + struct.pack(
        "<HH32sI5B3s3I", 1, 0, DS, 1, 7, 13, 32, 13, 9, bytes(3), 65536,
        262144, 1048576)


FILES = {"tree": tree_vectors, "content": content_vectors,
         "index": index_vectors, "payload": payload_vectors}


def main():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..",
                          "vectors")
    wrong = 0
    for which, vectors in FILES.items():
        text = HEADS[which] + "".join("%s %s\n" % (key, value.hex())
                                      for key, value in vectors())
        path = os.path.join(folder, which + ".txt")
        if sys.argv[1:] == ["--write"]:
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            continue
        with open(path, encoding="ascii") as file:
            theirs = file.read()
        if theirs == text:
            print("%s.txt: all known answers agree" % which)
            continue
        wrong += 1
        for a, b in zip(theirs.splitlines(), text.splitlines()):
            if a != b:
                print("%s: differs: %s" % (path, b[:60]), file=sys.stderr)
        if len(theirs.splitlines()) != len(text.splitlines()):
            print("%s: another number of lines" % path, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
