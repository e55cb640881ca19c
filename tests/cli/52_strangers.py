# SPDX-License-Identifier: ISC
"""What work's qube tries on photos' folder, frame by frame, where the hub's
access list lets it by mistake: 52_strangers.py HUB PHOTOS WORK."""
import glob
import hashlib
import os
import struct
import sys

from wire_client import (APPEND, COMMIT, CORRUPT, CREATE, DATA, DROP_KEY, EXISTS, GET,
                         HAVE, KEY, KEYS, LOG, NOTFOUND, OBJECTS, OPEN, PUT_KEY,
                         SETTLE, Refused, Wire, refused)

hub, photos, work = sys.argv[1:]
photos_id, work_id = bytes.fromhex(photos), bytes.fromhex(work)


def files(folder, name, where):
    return sorted(glob.glob("%s/%s/%s/%s" % (hub, folder, name, where)))


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


def state():
    """All of photos' folder but for the hub's own."""
    return {path: bytes_of(path) for path in glob.glob(
        "%s/photos/**" % hub, recursive=True)
        if os.path.isfile(path) and "/hub/" not in path}


def connect(folder="photos"):
    wire = Wire(["qstore", "serve", "--qrexec"], env={
        "QREXEC_REMOTE_DOMAIN": "work", "QREXEC_SERVICE_ARGUMENT": folder,
        "QREXEC_SERVICE_FULL_NAME": "qstore.Store+" + folder})
    return wire


def signed(record):
    import nacl.signing
    key = nacl.signing.SigningKey(b"a stranger's, of thirty-two byte")
    record = record[:32] + bytes(key.verify_key) + record[64:]
    body = record[:-64]
    return body + key.sign(b"qstore1 log record\0" + hashlib.blake2b(
        body).digest()).signature


def record(kind, suite, public, total):
    """A stranger's, right in all but that nobody has certified him."""
    payload = total - 192 - len(public) - 64 if suite else 0
    head = struct.pack(
        "<8sBBBBI16s32sQ32sQIIII32s32s", b"QSTOREL1", 1, kind, suite, 0, 0,
        photos_id, bytes(32), 0, bytes(32), 1700000000000, 0, len(public),
        payload, total, *((b"s" * 32, b"c" * 32) if suite else
                          (bytes(32), bytes(32))))
    rest = total - len(head) - len(public)
    body = b"p" * (rest - 64) if suite else bytes(rest - 64)
    return signed(head + public + body + bytes(64))


before = state()
wire = connect()
wire.call(OPEN, photos_id)

# It can read: what is sealed.  Its own folder is not to be had here.
objects = wire.list_all(OBJECTS)
assert objects and wire.list(LOG) and wire.list(KEYS)
for file, size, _ in objects:
    data = wire.get(file, min(size, 16 << 20))
    assert hashlib.blake2b(data, digest_size=32).digest() == file[24:56]
    assert b"geheim" not in data

# Objects of its own folder, also under a name of theirs.
mine = bytes_of(files("work", work, "obj/*/*")[0])
print(refused(wire.stage, mine, code=KEY))
# With their folder's id in front: it is admitted as what it is, bytes that
# nobody can have sealed with their key, under their own name only.
forged = bytearray(mine)
forged[16:32] = photos_id
number = wire.stage(bytes(forged))
print(refused(wire.commit, [(number, objects[0][0][24:56])], code=CORRUPT))
name = hashlib.blake2b(bytes(forged), digest_size=32).digest()
print(refused(wire.commit, [(number, name)], code=NOTFOUND))

# Records: of its own folder; theirs, changed; a stranger's own.
for path in files("work", work, "log/*/*"):
    data = bytes_of(path)
    print(refused(wire.append, data))
    print(refused(wire.append, data[:16] + photos_id + data[32:]))
for path in files("photos", photos, "log/*/*"):
    data = bytearray(bytes_of(path))
    data[104] ^= 1
    print(refused(wire.append, bytes(data), code=CORRUPT))
try:
    names = sorted(file[24:56] for file, _, _ in objects)
    every = b"".join(names)
    size = 256 + 8 + len(every)
    size += -size % 4096
    print(refused(wire.append, record(5, 0, struct.pack("<II", 0, 0) + every,
                                      size)))
    print(refused(wire.append, record(4, 1, b"".join(names[:1]), 4096)))
except ImportError:
    print("no python3-nacl: no stranger's signature is tried")

# Slots: of its own folder; one that would open theirs; theirs, taken away.
slot = bytes_of(files("work", work, "keys/*.key")[0])
print(refused(wire.call, PUT_KEY, slot, code=KEY))
for file, _, _ in wire.list(KEYS):
    print(refused(wire.call, DROP_KEY, file[24:56], code=KEY))
wire.close()

# Not a second folder beside theirs, by any mistake of the list.
wire = connect()
print(refused(wire.call, CREATE, os.urandom(16), code=EXISTS))
print(refused(wire.call, CREATE, work_id, code=EXISTS))
print(refused(wire.call, OPEN, work_id))
wire.close()
assert state() == before, "something of theirs has changed"

# A slot with their folder's id is one more file that opens nothing.
wire = connect()
wire.call(OPEN, photos_id)
wire.call(PUT_KEY, slot[:16] + photos_id + slot[32:])
wire.close()
assert len(state()) == len(before) + 1
