# SPDX-License-Identifier: ISC
"""What is in a qstore store as bytes: primitives, key slots, entries.

Part of the second reader, qstore_read.py; from docs/FORMAT.md alone.
"""
import collections
import hashlib
import hmac
import struct
import sys

import nacl.exceptions
import nacl.pwhash
import nacl.signing
from nacl.bindings import crypto_aead_chacha20poly1305_ietf_decrypt as aead

CHUNK_MAX, PACK_MAX = 4 << 20, 16 << 20
DATA, TREE, INDEX, LIST = 1, 2, 3, 4
TAGS = {DATA: b"data", TREE: b"tree", INDEX: b"index", LIST: b"list"}
FILE, DIR, SYMLINK, FIFO, CHARDEV, BLOCKDEV, SOCKET = range(1, 8)
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
HOLE = bytes(32)

Ref = collections.namedtuple("Ref", "id len")
Frame = collections.namedtuple("Frame", "off sealed plain comp kind domain")
warnings = []


class Damage(Exception):
    """Bytes that are not what docs/FORMAT.md allows."""


class WrongKey(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Damage(what)


def warn(text):
    text = "".join(c if c.isprintable() else "\\x%02x" % (ord(c) & 255)
                   for c in str(text))
    warnings.append(text)
    print("warning:", text, file=sys.stderr)


class Reader:
    """Foreign bytes, front to back."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        need(count <= len(self.data) - self.at, "ends too early")
        self.at += count
        return self.data[self.at - count:self.at]

    def unpack(self, layout):
        return struct.unpack("<" + layout,
                             self.take(struct.calcsize("<" + layout)))

    def number(self, layout):
        return self.unpack(layout)[0]

    def count(self, most, size):
        count = self.number("I")
        need(count <= most and count <= (len(self.data) - self.at) // size,
             "a count is too large")
        return count

    def end(self):
        need(not any(self.data[self.at:]), "bytes behind the end")


# ------------------------------------------------------------ primitives

def b2b(size, key, tag, msg):
    return hashlib.blake2b(msg, digest_size=size, key=key or b"",
                           person=b"qstore1:" + tag).digest()


def name_of(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def unseal(key, counter, aad, sealed):
    try:
        return aead(bytes(sealed), bytes(aad),
                    struct.pack("<I", counter) + bytes(8), key)
    except nacl.exceptions.CryptoError:
        raise Damage("sealed bytes do not verify") from None


def recovery_secret(text):
    text = text.upper().translate(str.maketrans("OIL", "011", "- \t\r\n"))
    if len(text) != 56 or set(text) - set(CROCKFORD):
        raise WrongKey("this is not a recovery code")
    number = 0
    for digit in text:
        number = number << 5 | CROCKFORD.index(digit)
    secret = (number >> 24).to_bytes(32, "big")
    check = int.from_bytes(b2b(3, None, b"recov", secret), "big") >> 4
    if number & 0xffffff != check:  # four zero bits, 20 bits of check
        raise WrongKey("there is a mistake in the recovery code")
    return secret


# ------------------------------------------------------------- key slots

def open_slot(slot, secrets):
    """(FMK, adm_pk, DS); None when it wants other factors."""
    need(len(slot) == 2048 and slot[:8] == b"QSTOREK1", "not a key slot")
    need(slot[8:10] == b"\1\1" and slot[11] == 0, "a newer key slot")
    need(1 <= slot[10] <= 4 and not any(slot[1904:]), "a wrong key slot")
    fed, met = b"", []
    factors = [slot[64 + 320 * i:384 + 320 * i] for i in range(4)]
    for i, factor in enumerate(factors):
        kind, flags, size = struct.unpack("<BBH", factor[:4])
        if i >= slot[10]:
            need(not any(factor), "an unused factor is not zero")
            continue
        need(kind in (1, 4, 5), "a factor of a kind not known here")
        need(flags == 0 and size == (28 if kind == 1 else 0) and
             not any(factor[4 + size:]) and kind not in met, "a wrong factor")
        met.append(kind)
        if kind == 1:
            ops, mem = struct.unpack("<IQ", factor[4:16])
            need(2 <= ops <= 64 and 64 << 20 <= mem <= 4 << 30 and
                 mem % 1024 == 0, "Argon2 cost out of bounds")
    if sorted(met) != sorted(secrets):
        return None
    for kind, factor in zip(met, factors):
        output = secrets[kind]
        if kind == 1:
            ops, mem, salt = struct.unpack("<IQ16s", factor[4:32])
            output = nacl.pwhash.argon2id.kdf(32, output, salt, ops, mem)
        fed += struct.pack("<BH", kind, 32) + output
    okm = b2b(64, None, b"slot", slot[:1376] + fed)
    if not hmac.compare_digest(okm[32:], slot[1376:1408]):
        return None
    plain = unseal(okm[:32], 0, slot[:1408], slot[1408:1904])
    need(not any(plain[128:]), "a newer key slot")
    need(slot[12:16] == bytes(4), "a key of a later epoch")
    fmk, adm_pk, seed, ds = (plain[i:i + 32] for i in range(0, 128, 32))
    commit = b2b(32, fmk, b"commit", b"")
    need(b2b(16, None, b"folder", adm_pk + commit) == slot[16:32],
         "the keys are not those of its folder id")
    need(not any(seed) or seed_pk(seed) == adm_pk, "a wrong admin key")
    return fmk, adm_pk, ds


def seed_pk(seed):
    return bytes(nacl.signing.SigningKey(seed).verify_key)


# ----------------------------------------------------------------- packs

def parse_directory(plain, frames, chunks, end):
    """Frame and chunk entries; frames tile 160 .. end (None: not known)."""
    reader = Reader(plain)
    frame_list, chunk_list, next_off, least = [], [], 160, 0
    for _ in range(frames):
        off, sealed, size, comp, kind, domain, zero = reader.unpack("IIIBBBB")
        need(off == next_off and zero == 0 and sealed > 16 and
             0 < size <= CHUNK_MAX and comp <= 1 and kind in TAGS and
             (sealed - 16 == size if comp == 0 else sealed - 16 < size),
             "a frame entry is out of bounds")
        next_off = off + sealed
        frame_list.append(Frame(off, sealed, size, comp, kind, domain))
    need(next_off <= PACK_MAX and (end is None or next_off == end),
         "the frames do not reach up to the directory")
    for _ in range(chunks):
        cid, frame, off, size, zero = reader.unpack("32sIIII")
        need(least <= frame < frames and zero == 0 and size > 0 and
             off + size <= frame_list[frame].plain,
             "a chunk entry is out of bounds")
        least = frame
        chunk_list.append((cid, frame, off, size))
    reader.end()
    return frame_list, chunk_list


class Node:
    pass


def parse_node(reader):
    node, start = Node(), reader.at
    size = reader.number("I")
    node.type, flags, node.mode, node.uid, node.gid, node.mtime, node.size, \
        node.group, node.links, major, minor, name_len, target_len, user_len, \
        group_len, xattr_count, xattr_len, node.depth, zeros, refs = \
        reader.unpack("BBHIIqQQIIIHHBBHIB3sI")
    need(flags <= (node.type == DIR) and not any(zeros) and FILE <= node.type <= SOCKET and
         node.mode <= 0o7777 and node.links >= 1, "a wrong tree entry")
    need(size == 72 + name_len + target_len + user_len + group_len +
         xattr_len + 40 * refs, "a tree entry's lengths do not add up")
    need(major == minor == 0 or node.type in (CHARDEV, BLOCKDEV),
         "a device number and no device")
    node.rdev = major, minor
    node.name = reader.take(name_len)
    need(1 <= name_len <= 255 and node.name not in (b".", b"..") and
         b"/" not in node.name and b"\0" not in node.name, "a wrong name")
    reader.take(user_len + group_len)
    node.target = reader.take(target_len)
    need((target_len > 0) == (node.type == SYMLINK) and
         b"\0" not in node.target, "a wrong target")
    node.xattrs, last = [], b""
    attrs = Reader(reader.take(xattr_len))
    for _ in range(xattr_count):
        key_len, value_len = attrs.unpack("HI")
        key, value = attrs.take(key_len), attrs.take(value_len)
        need(last < key and key_len <= 255 and b"\0" not in key and
             value_len <= 65536, "a wrong extended attribute")
        last = key
        node.xattrs.append((key, value))
    need(attrs.at == xattr_len and xattr_count <= 4096, "wrong xattrs")
    node.refs = [Ref(*reader.unpack("32sQ")) for _ in range(refs)]
    need(reader.at - start == size and refs <= 1024 and node.depth <= 8 and
         (node.depth == 0 or refs >= 2), "a wrong content")
    need(node.type in (FILE, DIR) or not (refs or node.depth or node.size),
         "content where none can be")
    need(sum(r.len for r in node.refs) == node.size and
         all(r.len and (r.id != HOLE or (node.type == FILE and
                                         node.depth == 0))
             for r in node.refs), "a wrong content")
    return node
