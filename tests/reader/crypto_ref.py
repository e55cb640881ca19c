#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Recompute tests/vectors/crypto.txt from docs/FORMAT.md alone.

Standard library, and python3-nacl for Argon2id and Ed25519.  Independent of
the C code: ChaCha20-Poly1305 is written out from RFC 8439.  Other readers may
import the functions.  Exit 1 on a difference.
"""
import hashlib
import os
import struct
import sys

import nacl.pwhash
import nacl.signing

MASK32 = 0xffffffff
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def b2b(size, key, tag, msg):
    return hashlib.blake2b(msg, digest_size=size, key=key or b"",
                           person=b"qstore1:" + tag).digest()


def name(data):
    return hashlib.blake2b(data, digest_size=32).digest()


# ChaCha20-Poly1305, RFC 8439

def rotate(x, n):
    return (x << n | x >> (32 - n)) & MASK32


def quarter(s, a, b, c, d):
    for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8),
                       (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & MASK32
        s[z] = rotate(s[z] ^ s[x], n)


def chacha_block(key, counter, nonce):
    start = list(struct.unpack("<16I", b"expand 32-byte k" + key +
                               struct.pack("<I", counter) + nonce))
    s = start[:]
    for _ in range(10):
        for i in range(4):
            quarter(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *((a + b) & MASK32 for a, b in zip(s, start)))


def chacha_xor(key, nonce, data):
    out = bytearray()
    for i in range(0, len(data), 64):
        block = chacha_block(key, i // 64 + 1, nonce)
        out += bytes(a ^ b for a, b in zip(data[i:i + 64], block))
    return bytes(out)


def poly1305(key, msg):
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    total = 0
    for i in range(0, len(msg), 16):
        total += int.from_bytes(msg[i:i + 16] + b"\1", "little")
        total = total * r % ((1 << 130) - 5)
    total += int.from_bytes(key[16:32], "little")
    return (total & (1 << 128) - 1).to_bytes(16, "little")


def pad16(data):
    return data + bytes(-len(data) % 16)


def tag_of(key, nonce, aad, sealed):
    once = chacha_block(key, 0, nonce)[:32]
    return poly1305(once, pad16(aad) + pad16(sealed) +
                    struct.pack("<QQ", len(aad), len(sealed)))


def seal(key, counter, aad, msg):
    nonce = struct.pack("<I", counter) + bytes(8)
    sealed = chacha_xor(key, nonce, msg)
    return sealed + tag_of(key, nonce, aad, sealed)


def unseal(key, counter, aad, sealed):
    nonce = struct.pack("<I", counter) + bytes(8)
    if tag_of(key, nonce, aad, sealed[:-16]) != sealed[-16:]:
        raise ValueError("sealed bytes do not match their tag")
    return chacha_xor(key, nonce, sealed[:-16])


# Keys and recovery codes

def fmk_commit(fmk):
    return b2b(32, fmk, b"commit", b"")


def folder_id(adm_pk, fmk0):
    return b2b(16, None, b"folder", adm_pk + fmk_commit(fmk0))


def recovery_encode(secret):
    check = int.from_bytes(b2b(3, None, b"recov", secret), "big") >> 4
    number = int.from_bytes(secret, "big") << 24 | check
    text = "".join(CROCKFORD[number >> 5 * (55 - i) & 31] for i in range(56))
    return "-".join(text[i:i + 7] for i in range(0, 56, 7))


def recovery_decode(text):
    text = text.upper().translate(str.maketrans("OIL", "011", "- \t\r\n"))
    if len(text) != 56:
        raise ValueError("recovery code: wrong number of digits")
    number = 0
    for digit in text:
        number = number << 5 | CROCKFORD.index(digit)
    secret = (number >> 24).to_bytes(32, "big")
    if recovery_encode(secret).replace("-", "") != text:
        raise ValueError("recovery code: does not check out")
    return secret


# Key slots

PASSPHRASE, RECOVERY, KEYFILE = 1, 4, 5


def slot_okm(slot, secrets):
    """secrets: {factor type: passphrase, code's bytes or file's hash}"""
    fed = b""
    for i in range(slot[10]):
        factor = slot[64 + 320 * i:64 + 320 * (i + 1)]
        output = secrets[factor[0]]
        if factor[0] == PASSPHRASE:
            ops, mem, salt = struct.unpack("<IQ16s", factor[4:32])
            if not (2 <= ops <= 64 and 64 << 20 <= mem <= 4096 << 20):
                raise ValueError("key slot: Argon2 cost out of bounds")
            output = nacl.pwhash.argon2id.kdf(32, output, salt, ops, mem)
        fed += struct.pack("<BH", factor[0], len(output)) + output
    return b2b(64, None, b"slot", slot[:1376] + fed)


def slot_open(slot, secrets):
    """(fmk, adm_pk, adm_seed, ds)"""
    if len(slot) != 2048 or slot[:10] != b"QSTOREK1\1\1":
        raise ValueError("not a key slot of version 1")
    okm = slot_okm(slot, secrets)
    if okm[32:] != slot[1376:1408]:
        raise ValueError("wrong passphrase, recovery code or key file")
    plain = unseal(okm[:32], 0, slot[:1408], slot[1408:1904])
    if any(plain[128:]) or any(slot[1904:]):
        raise ValueError("key slot: reserved bytes are not zero")
    fmk, adm_pk, adm_seed, ds = (plain[i:i + 32] for i in range(0, 128, 32))
    if slot[12:16] == bytes(4) and folder_id(adm_pk, fmk) != slot[16:32]:
        raise ValueError("key slot: forged folder id")
    return fmk, adm_pk, adm_seed, ds


def slot_make(epoch, folder, label, factors, secrets, salt, plain):
    """factors: [(type, data in the slot)]"""
    slot = b"QSTOREK1" + bytes([1, 1, len(factors), 0])
    slot += struct.pack("<I", epoch) + folder + salt
    for kind, data in factors:
        slot += struct.pack("<BBH", kind, 0, len(data)) + data.ljust(316, b"\0")
    slot = slot.ljust(1344, b"\0") + label.ljust(32, b"\0")
    okm = slot_okm(slot, secrets)
    slot += okm[32:]
    slot += seal(okm[:32], 0, slot, plain.ljust(480, b"\0"))
    return slot.ljust(2048, b"\0")


# The vectors

def up(first, count=32):
    return bytes(range(first, first + count))


def slots():
    fmk, ds, adm_pk, seed = up(0), up(0x80), up(0x40), up(0xa0)
    salt = up(0x60)
    cost = struct.pack("<IQ", 2, 64 << 20) + up(0xc0, 16)
    secrets = {PASSPHRASE: b"correct horse", KEYFILE: name(b"key file")}
    made = slot_make(0, folder_id(adm_pk, fmk), "Laptop \u00e4".encode(),
                     [(PASSPHRASE, cost), (KEYFILE, b"")], secrets, salt,
                     fmk + adm_pk + bytes(32) + ds)
    assert slot_open(made, secrets) == (fmk, adm_pk, bytes(32), ds)
    yield "slot_passphrase_keyfile", made
    pk = bytes(nacl.signing.SigningKey(seed).verify_key)
    for which, epoch, folder in (
            ("slot_recovery", 0, folder_id(pk, fmk)),
            ("slot_recovery_epoch3", 3, b"\xee" * 16)):
        made = slot_make(epoch, folder, b"", [(RECOVERY, b"")],
                         {RECOVERY: seed}, salt, fmk + pk + seed + ds)
        assert slot_open(made, {RECOVERY: seed}) == (fmk, pk, seed, ds)
        yield which, made


def vectors():
    fmk, ds, adm_pk, seed = up(0), up(0x80), up(0x40), up(0xa0)
    data = up(9, 200)
    folder = folder_id(adm_pk, fmk)
    k_id = b2b(32, ds, b"cid", b"\0")
    signer = nacl.signing.SigningKey(seed)
    yield "fmk0", fmk
    yield "ds", ds
    yield "adm_pk", adm_pk
    yield "fmk0_commit", fmk_commit(fmk)
    yield "folder_id", folder
    yield "k_pack", b2b(32, fmk, b"pack", folder)
    yield "k_log", b2b(32, fmk, b"log", folder)
    yield "k_id", k_id
    yield "id_data_hello", b2b(32, k_id, b"data", b"hello")
    yield "id_tree_hello", b2b(32, k_id, b"tree", b"hello")
    yield "bytes", data
    yield "name_of_bytes", name(data)
    yield "seed", seed
    yield "sealed_bytes", seal(seed, 0x01020304, data[:13], data)
    yield "sealed_nothing", seal(seed, 0, b"", b"")
    yield "sign_pk", bytes(signer.verify_key)
    yield "signature", signer.sign(data).signature
    assert recovery_decode(recovery_encode(seed).lower()) == seed
    yield "recovery_code", recovery_encode(seed)
    yield from slots()


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "..", "vectors",
        "crypto.txt")
    with open(path, encoding="ascii") as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    theirs = dict(lines)
    ours = {key: value if isinstance(value, str) else value.hex()
            for key, value in vectors()}
    wrong = [key for key in sorted(ours.keys() | theirs.keys())
             if ours.get(key) != theirs.get(key)]
    for key in wrong:
        print(f"{path}: {key} differs", file=sys.stderr)
    if wrong or len(lines) != len(theirs):
        return 1
    print(f"{len(ours)} known answers agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
