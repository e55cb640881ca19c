#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# nasty_tree.sh DIR: makes a tree with all that is awkward to save: modes, links,
# sparse files, FIFOs, sockets, devices, attributes, ACLs, capabilities, names of
# any bytes, depth, size.  As a user it leaves out what only root may make.
# QS_TEST_BIG=1: a folder of 200,000 entries in place of 5,000.
# DIR/deep is deeper than PATH_MAX: most tools can't go there.
set -euo pipefail
dir=${1:?usage: nasty_tree.sh DIR}
mkdir -p "$dir"
cd "$dir"
root=false
[ "$(id -u)" != 0 ] || root=true

/usr/bin/python3 - "${QS_TEST_BIG:-}" <<'PYTHON'
import hashlib
import os
import socket
import sys

def noise(seed, size):
    return hashlib.shake_256(seed).digest(size)

def put(name, data=b""):
    with open(name, "wb") as file:
        file.write(data)

# Names: every byte but NUL and /, alone and in company.
os.mkdir(b"names")
for byte in range(1, 256):
    if byte not in (0x2e, 0x2f):
        put(b"names/" + bytes([byte]), bytes([byte]))
for name in (b"new\nline", b" leading", b"trailing ", b"-rf", b"--help",
             b"a" * 255, b"\xff\xfe\x80", b"\xc3\x28", b"\xe2\x80\xae bidi",
             b"\x1b[31mred\x1b[0m", b"...", b"..x", b"*", b"?", b"[a]",
             b"back\\slash", b"quote'\"", b"$(reboot)", b"%s%n",
             "caf\u00e9".encode(), "cafe\u0301".encode(), "\U0001f600".encode(),
             b"CON", b"nul.", b"UPPER", b"upper"):
    put(b"names/" + name, name)

# Sizes around the limits of the chunker and of frames.
os.mkdir("sizes")
for size in (0, 1, 2, 63, 64, 65, 4095, 4096, 4097, 65535, 65536, 65537,
             262143, 262144, 262145, 1048575, 1048576, 1048577, 3000000):
    put("sizes/%d" % size, noise(b"size", size))
    put("sizes/zeros-%d" % size, bytes(size))
put("sizes/text", b"".join(b"line %d\n" % i for i in range(100000)))
put("sizes/repeat", noise(b"repeat", 70000) * 20)

# Links.
os.mkdir("links")
put("links/file", b"linked")
for i in range(5):
    os.link("links/file", "links/hard%d" % i)
os.symlink("file", "links/soft")
os.symlink("nowhere/at all", "links/dangling")
os.symlink("/etc/passwd", "links/absolute")
os.symlink("loop", "links/loop")
os.symlink("..", "links/up")
os.symlink(b"\xff\n\x01", b"links/bytes")
os.symlink("x" * 4000, "links/long")

# Holes: at the start, in the middle, at the end; 300 MB of little data.
os.mkdir("sparse")
with open("sparse/start", "wb") as file:
    file.seek(2000000)
    file.write(noise(b"s", 1000))
with open("sparse/end", "wb") as file:
    file.write(noise(b"e", 5000))
    file.truncate(3000001)
with open("sparse/only", "wb") as file:
    file.truncate(10000000)
with open("sparse/big", "wb") as file:
    for at in range(0, 300, 60):
        file.seek(at << 20)
        file.write(noise(b"%d" % at, 1000000))
    file.truncate(300 << 20)

# Modes, special files.
os.mkdir("modes")
for mode in (0o000, 0o100, 0o200, 0o400, 0o444, 0o644, 0o777, 0o4755, 0o2755,
             0o6711, 0o1777):
    put("modes/%04o" % mode, b"%o" % mode)
    os.chmod("modes/%04o" % mode, mode)
    if mode & 0o500 == 0o500 or os.geteuid() == 0:
        os.mkdir("modes/dir-%04o" % mode)
        put("modes/dir-%04o/in" % mode)
        os.chmod("modes/dir-%04o" % mode, mode)
os.mkdir("special")
os.mkfifo("special/fifo", 0o640)
os.chdir("special")  # names of sockets are short
sock = socket.socket(socket.AF_UNIX)
sock.bind("socket")
sock.close()
os.chdir("..")

# Times: before 1970, far away, with nanoseconds.
os.mkdir("times")
for ns in (-1, -123456789012345678, 0, 1, 981173106789012345,
           4102444800123456789):
    put("times/%d" % ns)
    os.utime("times/%d" % ns, ns=(ns, ns))
os.symlink("x", "times/link")
os.utime("times/link", ns=(5, 987654321987654321), follow_symlinks=False)

# Depth: 1,000 folders, a path longer than PATH_MAX.
os.mkdir("deep")
above = os.open(".", os.O_RDONLY)
os.chdir("deep")
for i in range(1000):
    name = "level-%04d" % i
    os.mkdir(name)
    os.chdir(name)
put("bottom", b"you found me")
os.fchdir(above)

# Breadth.
os.mkdir("wide")
for i in range(200000 if sys.argv[1] == "1" else 5000):
    put("wide/%06d" % (i * 7919 % 1000003), b"%d" % (i % 97))
os.makedirs("empty/empty/empty")
PYTHON

warn() {
	echo "nasty_tree: left out: $*" >&2
}

mkdir attrs
echo attributes >attrs/file
mkdir attrs/dir
if command -v setfattr >/dev/null && setfattr -n user.one -v 1 attrs/file \
	2>/dev/null; then
	setfattr -n user.empty attrs/file
	setfattr -n user.bytes -v 0xff00fe0a attrs/file
	setfattr -n user.long -v "$(head -c 1500 /dev/zero | tr '\0' x)" \
		attrs/dir
else
	warn 'extended attributes'
fi
if command -v setfacl >/dev/null && setfacl -m u:65534:rw attrs/file \
	2>/dev/null; then
	setfacl -m g:65534:r,d:u:65534:rwx,d:g:12345:rx attrs/dir
else
	warn 'access control lists'
fi
if $root; then
	echo owned >attrs/owned
	chown 12345:54321 attrs/owned
	ln -s owned attrs/owned-link
	chown -h 12345:54321 attrs/owned-link
	echo capable >attrs/capable
	setcap cap_net_raw,cap_net_bind_service+ep attrs/capable 2>/dev/null ||
		warn 'capabilities'
	setfattr -n trusted.qs -v yes attrs/file 2>/dev/null ||
		warn 'trusted attributes'
	mknod special/char c 1 3 2>/dev/null || warn 'devices'
	mknod special/block b 7 200 2>/dev/null || true
fi
touch -d '1999-12-31 23:59:59.123456789' attrs wide links
