# SPDX-License-Identifier: ISC
"""A folder of a qstore store: its log, its packs, its chunks.

Part of the second reader, qstore_read.py; from docs/FORMAT.md alone.
"""
import collections
import hashlib
import hmac
import os
import re
import struct

import nacl.exceptions
import nacl.signing
import zstandard

from qstore_bytes import (CHUNK_MAX, HOLE, INDEX, LIST, PACK_MAX, TAGS, TREE,
                          Damage, Reader, Ref, b2b, name_of, need,
                          parse_directory, parse_node, unseal, warn)
from qstore_retired import Record, retired_names

RECORD_MAX = 64 << 20
GENESIS, CERT, REVOKE, SNAPSHOT, RETIRE, EPOCH, CHECKPOINT = range(1, 8)

Place = collections.namedtuple("Place", "pack number frame off len")


class Folder:
    """One folder of a store, opened."""

    def __init__(self, path, folder_id, keys):
        self.path, self.id = path, folder_id
        self.fmk, self.adm_pk, self.ds = keys
        self.k_pack = b2b(32, self.fmk, b"pack", folder_id)
        self.k_log = b2b(32, self.fmk, b"log", folder_id)
        self.k_id = [b2b(32, self.ds, b"cid", bytes([d])) for d in range(256)]
        self.places = collections.defaultdict(list)  # chunk id: [Place]
        self.known = set()                           # names of packs
        self.has_strays = False                      # were looked for
        self.objects = collections.OrderedDict()     # a few, whole
        self.frames = collections.OrderedDict()      # a few, opened
        self.snapshots, self.notes, self.covers = [], [], {}
        self.listed, self.retired, self.records = set(), set(), set()
        self.chain = []                              # [Record]
        self.rights, self.kept = {}, {}
        self.read_log()
        self.apply_notes()
        self.build_index()

    # -------------------------------------------------------------- log

    def read_log(self):
        found = collections.defaultdict(list)
        top = os.path.join(self.path, "log")
        for device in os.listdir(top):
            if not re.fullmatch("[0-9a-f]{16}", device):
                warn("a file that is not qstore's: log/%s" % device)
                continue
            for entry in os.listdir(os.path.join(top, device)):
                if re.fullmatch("[0-9a-f]{16}-[0-9a-f]{64}", entry):
                    found[device].append(entry)
                else:
                    warn("a file that is not qstore's: log/%s/%s"
                         % (device, entry))
        admin = self.adm_pk[:8].hex()
        need(found[admin], "no record of the admin's key is left")
        # The admin's first: it says who else may write, and how long.
        for device in [admin] + sorted(set(found) - {admin}):
            before, now, last = set(), set(), -1
            for entry in sorted(found[device]):
                seq, what = int(entry[:16], 16), "log/%s/%s" % (device, entry)
                if seq != last:
                    if seq != last + 1:
                        warn("%s: records before it are missing" % what)
                    before = now if seq == last + 1 else set()
                    now, last = set(), seq
                elif now:
                    warn("%s: the log is forked here" % what)
                now.add(entry[17:])
                try:
                    prev = self.read_record(device, seq, entry[17:], what)
                except (Damage, OSError) as why:
                    warn("%s: %s" % (what, why))
                    continue
                if before and prev.hex() not in before:
                    warn("%s: does not follow the record before it" % what)
                self.records.add((device, seq, entry[17:]))
        if not any(k[0] == admin and k[1] == 0 for k in self.records):
            warn("GENESIS is lost; the key slot has what reading needs")
        self.retired = retired_names(self.chain, admin)
        for snapshot in self.snapshots:
            for head in snapshot["heads"]:
                if head not in self.records:
                    warn("snapshot %s saw record %d of device %s, which is "
                         "not there" % (snapshot["name"][:8], head[1],
                                        head[0]))

    def read_record(self, device, seq, hexname, what):
        """Verify a record and take in what it says; its prev."""
        file = os.path.join(self.path, what)
        size = os.stat(file).st_size
        need(4096 <= size <= RECORD_MAX and size % 4096 == 0, "wrong length")
        with open(file, "rb") as stream:
            data = stream.read(RECORD_MAX + 1)
        need(name_of(data).hex() == hexname, "is not what its name says")
        need(data[:8] == b"QSTOREL1" and data[8] == 1 and data[10] <= 1 and
             GENESIS <= data[9] <= CHECKPOINT, "made by a newer qstore")
        kind, suite = data[9], data[10]
        epoch, folder, signer, number, prev, when, seen, body_len, \
            sealed_len, total = struct.unpack("<I16s32sQ32sQIIII", data[12:128])
        used = 192 + body_len + sealed_len + 64
        need(data[11] == 0 and total == len(data) and used <= total,
             "lengths do not add up")
        if suite == 1:
            need(sealed_len > 16 and used == total, "lengths do not add up")
        else:
            need(sealed_len == 0 and total - used < 4096 and
                 not any(data[128:192]) and
                 not any(data[192 + body_len:-64]), "padding is not zero")
        need(folder == self.id, "of another folder")
        need(signer[:8].hex() == device and number == seq, "misplaced")
        need((seq == 0) == (not any(prev)), "seq and prev do not agree")
        body = data[192:192 + body_len]
        try:
            message = b"qstore1 log record\0" + hashlib.blake2b(
                data[:-64], digest_size=64).digest()
            nacl.signing.VerifyKey(signer).verify(message, data[-64:])
        except nacl.exceptions.BadSignatureError:
            raise Damage("the signature does not verify") from None
        heads, names = [], body if kind == SNAPSHOT else b""
        if kind == RETIRE:
            need(body_len >= 8 and not any(body[4:8]), "wrong body")
            at = 8 + 48 * int.from_bytes(body[:4], "little")
            need(at <= body_len, "list of heads cut short")
            heads = [(d.hex(), n, h.hex()) for d, n, h in
                     struct.iter_unpack("<8sQ32s", body[8:at])]
            need(all(a[0] < b[0] for a, b in zip(heads, heads[1:])),
                 "heads are not in order")
            names = body[at:]
        need(len(names) % 32 == 0, "list of names cut short")
        names = [names[i:i + 32] for i in range(0, len(names), 32)]
        need(all(a < b for a, b in zip(names, names[1:])),
             "names are not in order")
        if kind in (CERT, REVOKE):
            need(body_len == 48 and not any(body[36:40]), "wrong body")
        if signer == self.adm_pk:
            self.take_admin(kind, body, number)
        else:
            need(kind == SNAPSHOT, "only the admin may sign this")
            rights, last = self.rights.get(signer, (0, 0))
            kept, last_kept = self.kept.get(signer, (~0, (1 << 64) - 1))
            need(rights & kept & 1 and seq <= min(last, last_kept),
                 "its device is not certified, or was revoked")
        if kind == GENESIS or kind == SNAPSHOT:
            need(suite == 1, "its payload is missing")
            need(epoch == 0, "sealed with the key of a later epoch")
            okm = b2b(64, self.k_log, b"logkey", data[:160])
            need(hmac.compare_digest(okm[32:], data[160:192]),
                 "the commitment does not match the key")
            plain = unseal(okm[:32], 0, data[:192 + body_len],
                           data[192 + body_len:192 + body_len + sealed_len])
            if kind == GENESIS:
                need(plain[:6] == b"QSTG\1\0" and plain[8:40] == self.ds,
                     "GENESIS and key slot have different dedup secrets")
        if kind == SNAPSHOT:
            self.take_payload(plain, hexname, device, seq, when)
            self.listed.update(names)
        self.chain.append(Record(device, seq, hexname, prev.hex(), seen,
                                 {SNAPSHOT: "snapshot",
                                  RETIRE: "retire"}.get(kind, ""),
                                 heads, set(names)))
        return prev

    def take_admin(self, kind, body, seq):
        if kind == GENESIS:
            need(seq == 0 and len(body) == 64 and body[:32] == self.adm_pk and
                 b2b(16, None, b"folder", body) == self.id,
                 "GENESIS does not match the folder's id")
        elif kind in (CERT, REVOKE):
            pk, rights, _, last = struct.unpack("<32sIIQ", body)
            if kind == CERT:
                self.rights[pk] = rights, last
            else:
                old = self.kept.get(pk, (~0, (1 << 64) - 1))
                self.kept[pk] = old[0] & rights, min(old[1], last)

    def take_payload(self, plain, hexname, device, seq, when):
        reader = Reader(plain)
        need(reader.take(4) == b"QSTS" and reader.number("H") == 1,
             "payload made by a newer qstore")
        kind = reader.number("H")
        need(kind in (1, 2, 3), "payload made by a newer qstore")
        text = lambda: reader.take(reader.number("H"))
        if kind == 2:
            of = reader.take(32).hex()
            tags = [text() for _ in range(reader.count(1024, 3))]
            self.notes.append((when, seq, hexname, of, ("tags", tags)))
        elif kind == 3:
            turns = [reader.unpack("32sB7s")
                     for _ in range(reader.count(65536, 40))]
            need(all(a[0] < b[0] for a, b in zip(turns, turns[1:])) and
                 all(t[1] <= 1 and not any(t[2]) for t in turns),
                 "a wrong list of what is forgotten")
            for of, forgotten, _ in turns:
                self.notes.append((when, seq, hexname, of.hex(),
                                   ("forgotten", bool(forgotten))))
        else:
            s = {"name": hexname, "device": device, "seq": seq}
            s["time"], s["parent"], s["uid"], s["gid"] = reader.unpack("q32sII")
            s["totals"] = reader.unpack("16Q")
            depth, zero, count = reader.unpack("B3sI")
            need(not any(zero) and depth <= 8 and 1 <= count <= 1024,
                 "a wrong root")
            s["root"] = depth, [Ref(*reader.unpack("32sQ"))
                                for _ in range(count)]
            need(all(r.id != HOLE and r.len for r in s["root"][1]),
                 "a wrong root")
            s["host"], s["user"], s["program"] = text(), text(), text()
            s["paths"] = [text() for _ in range(reader.count(65536, 3))]
            s["tags"] = [text() for _ in range(reader.count(1024, 3))]
            cover = [reader.unpack("32s32sII")
                     for _ in range(reader.count(1 << 20, 72))]
            need(all(0 < c[2] <= CHUNK_MAX and c[3] == 0 for c in cover),
                 "a wrong cover")
            direct = [reader.take(32)
                      for _ in range(reader.count(1 << 20, 32))]
        heads = [reader.unpack("8sQ32sQ")
                 for _ in range(reader.count(65536, 56))]
        need(all(a[0] < b[0] for a, b in zip(heads, heads[1:])),
             "heads are not in order")
        reader.end()
        if kind == 1:
            s["heads"] = [(h[0].hex(), h[1], h[2].hex()) for h in heads]
            self.snapshots.append(s)
            self.covers[device] = cover, direct  # the newest one counts

    def apply_notes(self):
        self.snapshots.sort(key=lambda s: (s["time"], s["name"]))
        by_name = {s["name"]: s for s in self.snapshots}
        for _, _, _, of, (what, value) in sorted(self.notes):
            if of in by_name:
                by_name[of][what] = value
        self.snapshots = [s for s in self.snapshots
                          if not s.get("forgotten")]

    # ------------------------------------------------------------ index

    def object_path(self, name):
        return os.path.join(self.path, "obj", name.hex()[:2], name.hex())

    def build_index(self):
        # Index chunks first, each by way of its pack's own directory; then
        # whatever they do not cover.  Packs that neither a record nor a
        # device's cover lists are left: see find_strays.
        for cover, direct in self.covers.values():
            for name in direct:
                self.adopt(name)
            for pack, cid, size, _ in cover:
                self.adopt(pack)
                try:
                    self.read_index_chunk(self.chunk(cid, INDEX, size))
                except Damage as why:
                    warn("index chunk in %s: %s" % (pack.hex()[:16], why))
        for name in self.listed:
            self.adopt(name)

    def adopt(self, name):
        if name in self.known:
            return
        self.known.add(name)
        try:
            frames, chunks = self.open_object(name)[2]
            self.add_pack(name, frames, chunks)
        except (Damage, OSError) as why:
            if name not in self.retired:  # then it may be gone
                warn("object %s: %s" % (name.hex()[:16], why))

    def find_strays(self):
        """Objects that nobody lists: the last place to look for a chunk."""
        if self.has_strays:
            return
        self.has_strays = True
        for top, _, entries in os.walk(os.path.join(self.path, "obj")):
            for entry in entries:
                if not re.fullmatch("[0-9a-f]{64}", entry) or \
                        os.path.basename(top) != entry[:2] or \
                        bytes.fromhex(entry) in self.known:
                    continue
                name = bytes.fromhex(entry)
                try:
                    self.add_pack(name, *self.open_object(name)[2])
                except (Damage, OSError):
                    pass

    def add_pack(self, name, frames, chunks):
        for cid, frame, off, size in chunks:
            self.places[cid].append(Place(name, frame, frames[frame], off,
                                          size))

    def read_index_chunk(self, data):
        reader = Reader(data)
        need(reader.take(8) == b"QSTI\1\0\0\0", "not an index chunk")
        for _ in range(reader.number("I")):
            name, size, epoch, salt, frames, chunks = \
                reader.unpack("32sII32sII")
            need(frames <= 65536 and chunks <= 65536, "counts too large")
            found = parse_directory(reader.take(16 * frames + 48 * chunks),
                                    frames, chunks, None)
            if name not in self.known:
                self.known.add(name)
                self.add_pack(name, *found)
        need(reader.at == len(data), "bytes behind the end")

    def open_object(self, name):
        """(bytes, key, directory), everything checked but the frames."""
        if name in self.objects:
            self.objects.move_to_end(name)
            return self.objects[name]
        path = self.object_path(name)
        need(os.path.isfile(path), "is missing")
        size = os.stat(path).st_size
        need(1 << 16 <= size <= PACK_MAX and size & (size - 1) == 0,
             "is not as long as a pack")
        with open(path, "rb") as stream:
            data = stream.read(PACK_MAX + 1)
        need(name_of(data) == name, "is not what its name says")
        need(data[:8] == b"QSTOREP1", "is not a pack")
        need(data[8:12] == b"\1\1\0\0", "made by a newer qstore")
        need(data[16:32] == self.id, "belongs to another folder")
        need(data[12:16] == bytes(4), "sealed with a later epoch's key")
        okm = b2b(64, self.k_pack, b"packkey", data[:64])
        need(hmac.compare_digest(okm[32:], data[64:96]),
             "the commitment does not match the key")
        key = okm[:32]
        plain = unseal(key, 0, data[:96], data[96:160])
        dir_off, dir_len, frames, chunks, total = struct.unpack("<5I",
                                                                plain[:20])
        need(total == size and not any(plain[20:]) and frames <= 65536 and
             chunks <= 65536 and dir_off >= 160 and dir_off + dir_len == size
             and dir_len >= 16 * frames + 48 * chunks + 16,
             "its superblock is out of bounds")
        plain = unseal(key, frames + 1, b"dir", data[dir_off:])
        opened = data, key, parse_directory(plain, frames, chunks, dir_off)
        self.objects[name] = opened
        if len(self.objects) > 4:
            self.objects.popitem(last=False)
        return opened

    # ----------------------------------------------------------- chunks

    def frame(self, place):
        where = place.pack, place.number
        if where in self.frames:
            self.frames.move_to_end(where)
            return self.frames[where]
        data, key, (frames, _) = self.open_object(place.pack)
        entry = place.frame
        need(place.number < len(frames) and frames[place.number] == entry,
             "an index chunk and its pack disagree")
        aad = struct.pack("<IIIBBBB", *entry, 0)
        plain = unseal(key, place.number + 1, aad,
                       data[entry.off:entry.off + entry.sealed])
        if entry.comp == 1:
            try:
                facts = zstandard.get_frame_parameters(plain)
                need(facts.content_size == entry.plain and
                     facts.dict_id == 0 and (facts.window_size <= 1 << 23),
                     "a zstd frame that is not allowed")
                tool = zstandard.ZstdDecompressor(
                    max_window_size=1 << 23).decompressobj()
                plain = tool.decompress(plain)
                need(not tool.unused_data, "more than one zstd frame")
            except zstandard.ZstdError as why:
                raise Damage("zstd: %s" % why) from None
        need(len(plain) == entry.plain, "a frame has a wrong length")
        self.frames[where] = plain
        if len(self.frames) > 32:
            self.frames.popitem(last=False)
        return plain

    def chunk(self, cid, kind, size=None):
        """A chunk's bytes; from the first of its packs that has it whole."""
        try:
            return self.known_chunk(cid, kind, size)
        except Damage:
            self.find_strays()
            return self.known_chunk(cid, kind, size)

    def known_chunk(self, cid, kind, size):
        trouble = Damage("chunk %s is in no known object" % cid.hex()[:16])
        for place in self.places.get(cid, ()):
            try:
                need(place.frame.kind == kind, "a chunk of another kind")
                need(size is None or place.len == size, "another length")
                plain = self.frame(place)[place.off:place.off + place.len]
                key = self.k_id[place.frame.domain]
                need(hmac.compare_digest(b2b(32, key, TAGS[kind], plain), cid),
                     "a chunk is not what its id says")
                return plain
            except (Damage, OSError) as why:
                trouble = Damage("object %s: %s" % (place.pack.hex()[:16],
                                                    why))
        raise trouble

    def content(self, depth, refs):
        """The references of depth 0, in order."""
        for ref in refs:
            if depth == 0:
                yield ref
                continue
            reader = Reader(self.chunk(ref.id, LIST))
            need(reader.take(8) == b"QSTN\1\0" + bytes([depth - 1, 0]),
                 "not a list chunk of the right depth")
            below = [Ref(*reader.unpack("32sQ"))
                     for _ in range(reader.count(1024, 40))]
            need(below and reader.at == len(reader.data) and
                 sum(r.len for r in below) == ref.len and
                 all(r.len and (depth == 1 or r.id != HOLE) for r in below),
                 "a wrong list chunk")
            yield from self.content(depth - 1, below)

    def nodes(self, depth, refs):
        """A folder's entries."""
        last = b""
        for ref in self.content(depth, refs):
            reader = Reader(self.chunk(ref.id, TREE, ref.len))
            need(reader.take(8) == b"QSTT\1\0\0\0", "not a tree chunk")
            for _ in range(reader.number("I")):
                node = parse_node(reader)
                need(last < node.name, "names are not in order")
                last = node.name
                yield node
            need(reader.at == len(reader.data), "bytes behind a tree's end")
