# SPDX-License-Identifier: ISC
"""The store protocol, from docs/PROTOCOL.md alone: a client that says what it
is told to, so that a hub can be asked what qstore never asks."""
import os
import select
import socket
import struct
import subprocess

(FOLDERS, OPEN, CREATE, LIST, GET, HAVE, STAGE, DATA, COMMIT, DISCARD, APPEND,
 MORE, PUT_KEY, SINCE, NEWS, DROP_KEY, SETTLE) = range(1, 18)
KEYS, LOG, OBJECTS, BESIDE = 1, 2, 3, 4
RO, RW, TRANSFER = 1, 2, 3
(NOTFOUND, EXISTS, BUSY, INVALID, CORRUPT, KEY, QUOTA, CONFLICT) = (
    4, 5, 6, 7, 8, 10, 12, 13)  # of the refusals' codes
PART = 1 << 20


class Refused(Exception):
    """The hub said no: .code, and its sentence."""

    def __init__(self, code, text):
        super().__init__("%d: %s" % (code, text))
        self.code, self.text = code, text


class Ended(Exception):
    """The hub closed the connection."""


class Wire:
    """One connection; to a program's pipes or a socket's path."""

    def __init__(self, where, folder="", env=None, hello=None, patience=30):
        self.request, self.patience = 0, patience
        self.process = self.socket = None
        if isinstance(where, str):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.connect(where)
            self.down = self.up = self.socket.fileno()
        else:
            self.process = subprocess.Popen(
                where, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, env=dict(os.environ, **(env or {})))
            self.down = self.process.stdin.fileno()
            self.up = self.process.stdout.fileno()
        name = folder.encode()
        try:
            self.send(hello if hello is not None else struct.pack(
                "<8sHHIB47s", b"QSTOREC1", 1, 1, 0, len(name), name))
        except Ended:
            pass  # it may have said why
        magic, self.version, code, length, self.mode, rest = struct.unpack(
            "<8sHHIB47s", self.take(64))
        assert magic == b"QSTOREH1" and rest == bytes(47), (magic, rest)
        if self.version == 0:
            assert 0 < length <= 500, length
            raise Refused(code, self.take(length).decode("ascii"))

    def send(self, data):
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self.down, view):]
            except (BrokenPipeError, ConnectionResetError):
                raise Ended()

    def take(self, length):
        data = b""
        while len(data) < length:
            if not select.select([self.up], [], [], self.patience)[0]:
                raise TimeoutError("the hub is silent")
            try:
                part = os.read(self.up, length - len(data))
            except ConnectionResetError:
                raise Ended()
            if not part:
                raise Ended()
            data += part
        return data

    def frame(self, verb, data=b"", request=None, flags=0, code=0):
        self.send(struct.pack("<IBBHQ", len(data), verb, flags, code,
                              self.request if request is None else request)
                  + data)

    def answer(self):
        """All frames of one: (verb, request, bytes)."""
        data, more = b"", True
        while more:
            length, verb, flags, code, request = struct.unpack(
                "<IBBHQ", self.take(16))
            assert length <= PART and flags & ~1 == 0, (length, flags)
            data += self.take(length)
            more = flags & 1
            if code:
                assert not more and length <= 500
                raise Refused(code, data.decode("ascii"))
        return verb, request, data

    def call(self, verb, data=b""):
        self.request += 1
        self.frame(verb, data)
        got, request, data = self.answer()
        assert (got, request) == (verb, self.request), (got, request)
        return data

    def send_body(self, begin, more, body):
        """STAGE and its DATA, APPEND and its MORE; gives the request."""
        self.request += 1
        self.frame(begin, struct.pack("<I", len(body)))
        for at in range(0, len(body), PART):
            self.frame(more, body[at:at + PART])
        self.answer()
        return self.request

    def stage(self, body):
        return self.send_body(STAGE, DATA, body)

    def append(self, record):
        return self.send_body(APPEND, MORE, record)

    def commit(self, pairs):
        return self.call(COMMIT, b"".join(
            struct.pack("<Q", number) + name for number, name in pairs))

    def list(self, area, part=0):
        """[(file 56, size, path)]"""
        data, at, found = self.call(LIST, bytes([area, part])), 0, []
        while at < len(data):
            size, length = struct.unpack_from("<QH", data, at + 56)
            found.append((data[at:at + 56], size,
                          data[at + 66:at + 66 + length]))
            at += 66 + length
        return found

    def list_all(self, area):
        parts = range(256) if area == OBJECTS else [0]
        return [entry for part in parts for entry in self.list(area, part)]

    def get(self, file, length=16 << 20, offset=0):
        return self.call(GET, file + struct.pack("<QI", offset, length))

    def close(self):
        """Says goodbye; gives the program's exit code and its complaints."""
        if self.socket:
            self.socket.close()
            return None, ""
        self.process.stdin.close()
        errors = self.process.stderr.read().decode()
        self.process.stdout.close()
        return self.process.wait(self.patience), errors


def refused(call, *args, code=None):
    """The sentence; anything else is a failure."""
    try:
        result = call(*args)
    except Refused as why:
        assert code is None or why.code == code, why
        return why.text
    raise AssertionError("not refused: %r" % (result,))
