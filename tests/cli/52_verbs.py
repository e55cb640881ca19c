# SPDX-License-Identifier: ISC
"""Each verb by those who may not say it: 52_verbs.py HUB PHOTOS."""
import glob
import os
import struct
import sys

from wire_client import (BUSY, CREATE, DISCARD, DROP_KEY, FOLDERS, GET, HAVE, KEY,
                         KEYS, LIST, LOG, NEWS, NOTFOUND, OBJECTS, OPEN,
                         PUT_KEY, RO, RW, SETTLE, SINCE, TRANSFER, Ended,
                         Refused, Wire, refused)

hub, photos = sys.argv[1:]
photos_id = bytes.fromhex(photos)


def qrexec(caller, service, folder, **more):
    env = {"QREXEC_REMOTE_DOMAIN": caller, "QREXEC_SERVICE_ARGUMENT": folder,
           "QREXEC_SERVICE_FULL_NAME": "%s+%s" % (service, folder)}
    return Wire(["qstore", "serve", "--qrexec"], env=env, **more)


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


place = "%s/photos/%s/" % (hub, photos)
packs = glob.glob(place + "obj/*/*")
pack = bytes_of(packs[0])
name = bytes.fromhex(os.path.basename(packs[0]))
record = bytes_of(glob.glob(place + "log/*/*")[0])
slot = bytes_of(glob.glob(place + "keys/*.key")[0])

# Who is not listed is not even greeted, whatever the name he gives.
for caller in "work", "sys-net", "nobody", "photos.", "Photos", "../photos":
    for service in "qstore.Store", "qstore.Fetch", "qstore.Transfer":
        print(refused(qrexec, caller, service, "photos", code=KEY))
for folder in ("../photos", "photos/", "Photos", ".photos", "", "pho tos",
               "work", "a" * 64, "..", "photos\n"):
    print(refused(qrexec, "photos", "qstore.Store", folder, code=KEY))
print(refused(qrexec, "photos", "qstore.Other", "photos", code=KEY))
# The greeting can't name another folder than the call.
print(refused(lambda: qrexec("photos", "qstore.Store", "photos", hello=struct
                             .pack("<8sHHIB47s", b"QSTOREC1", 1, 1, 0, 4,
                                   b"work")), code=KEY))

# What the service narrows: never more than it says.
assert qrexec("photos", "qstore.Store", "photos").mode == RW
assert qrexec("photos", "qstore.Fetch", "photos").mode == RO
print(refused(qrexec, "photos", "qstore.Transfer", "photos", code=KEY))
assert qrexec("media", "qstore.Store", "photos").mode == RO
assert qrexec("media", "qstore.Fetch", "photos").mode == RO
print(refused(qrexec, "media", "qstore.Transfer", "photos", code=KEY))
assert qrexec("mover", "qstore.Transfer", "photos").mode == TRANSFER
assert qrexec("mover", "qstore.Store", "photos").mode == TRANSFER
assert qrexec("mover", "qstore.Fetch", "photos").mode == RO

# ro: all that reads the folder, nothing else.
wire = qrexec("media", "qstore.Fetch", "photos")
print(refused(wire.call, CREATE, photos_id, code=KEY))
assert wire.call(FOLDERS) == photos_id
wire.call(OPEN, photos_id)
assert len(wire.list_all(OBJECTS)) == len(packs)
(file, size, _) = wire.list(LOG)[0]
assert len(wire.get(file, size)) == size
assert struct.unpack("<I", wire.call(HAVE, name)) == (len(pack),)
for verb, data in ((DISCARD, bytes(8)), (PUT_KEY, slot), (DROP_KEY, name),
                   (SETTLE, name), (SINCE, struct.pack("<QI", 0, 10)),
                   (NEWS, struct.pack("<QI", 0, 0))):
    print(refused(wire.call, verb, data, code=KEY))
print(refused(wire.stage, pack, code=KEY))
print(refused(wire.append, record, code=KEY))
wire.close()

# transfer: adds, and asks what came; takes no slot away.
wire = qrexec("mover", "qstore.Transfer", "photos")
wire.call(OPEN, photos_id)
assert len(wire.call(SINCE, struct.pack("<QI", 0, 4096))) > 80
wire.commit([(wire.stage(pack), name)])
print(refused(wire.call, DROP_KEY, name, code=KEY))
wire.close()

# Before a folder is open, and twice: the end of the connection.
for verb, data in ((LIST, b"\3\0"), (HAVE, name), (PUT_KEY, slot),
                   (SINCE, struct.pack("<QI", 0, 1))):
    wire = qrexec("photos", "qstore.Store", "photos")
    try:
        wire.call(verb, data)
        raise AssertionError("answered before a folder was open")
    except Ended:
        wire.close()
wire = qrexec("photos", "qstore.Store", "photos")
wire.call(OPEN, photos_id)
try:
    wire.call(OPEN, photos_id)
    raise AssertionError("opened twice")
except Ended:
    wire.close()

# A name is no path, wherever it is sent.
wire = qrexec("photos", "qstore.Store", "photos")
wire.call(OPEN, photos_id)
for raw in (b"../../../media/" + bytes(17), b"\0" * 32, b"/" * 32):
    for area in KEYS, LOG, OBJECTS:
        print(refused(wire.get, bytes([area]) + bytes(7) + raw[:8] +
                      bytes(8) + raw if area == LOG else
                      bytes([area]) + bytes(23) + raw, 262144,
                      code=NOTFOUND))
assert wire.call(HAVE, bytes(32)) == bytes(4)
wire.close()
