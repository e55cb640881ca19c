#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Makes the reproducible benchmark corpora c1 to c4 below a given directory.
set -euo pipefail

readonly MTIME=1700000000 # given to every generated file, for repeatable metadata
readonly SOURCE=/usr/src/linux-source-6.1.tar.xz

usage() {
	cat <<'USAGE'
usage: corpora.sh DIR [c1|c2|c3|c4]...

Makes the named corpora (all four when none is named) in DIR. One that already
exists is left as it is. The same script makes the same bytes every time (the
databases and the gzip file of c3 also depend on the versions of SQLite, zlib).

  c1  source tree of about 80,000 files, 1.3 GB (package linux-source-6.1,
      installed with apt-get when missing)
  c2  one random file of 2 GiB
  c3  mixed home of about 19,500 files, 1.6 GB (takes parts of c1, so makes c1)
  c4  tiny files, 100 to 1100 bytes each: 500,000, or C4_FILES of them
USAGE
}

die() {
	printf 'corpora.sh: %s\n' "$*" >&2
	exit 1
}

make_c1() { # $1: directory to fill
	if [[ ! -f $SOURCE ]]; then
		local -a as_root=()
		[[ $(id -u) -eq 0 ]] || as_root=(sudo)
		"${as_root[@]}" apt-get install -y --no-install-recommends linux-source-6.1 >&2 ||
			die "cannot install linux-source-6.1"
	fi
	mkdir -p "$1"
	xz -dc -T0 "$SOURCE" | tar -x --no-same-owner --strip-components=1 -C "$1" -f -
}

make_c2() { # $1: directory to fill
	mkdir -p "$1"
	head -c 2147483648 /dev/zero |
		openssl enc -aes-128-ctr -K 71737400726500c2000000000000c2c2 \
			-iv 00000000000000000000000000000000 -out "$1/random.bin"
	touch -d "@$MTIME" "$1/random.bin"
}

make_c3() { # $1: directory to fill, $2: c1
	python3 - "$1" "$2" "$MTIME" <<'PYTHON'
import gzip
import itertools
import os
import random
import shutil
import sqlite3
import struct
import sys
import tarfile

ROOT, C1, MTIME = sys.argv[1], sys.argv[2], int(sys.argv[3])
MIB = 1 << 20


def rng_for(name):
    return random.Random("qstore c3 " + name)


def save(path, *parts):
    path = os.path.join(ROOT, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        for part in parts:
            out.write(part)


def noise(rng, size):
    while size > 0:
        step = min(size, 4 * MIB)
        yield rng.randbytes(step)
        size -= step


class Prose:
    """Text of Zipf-distributed words and phrases, about as compressible as English."""

    def __init__(self, rng):
        self.rng = rng
        syllables = [a + b for a in "b c d f g h l m n p r s t v w st tr ch th".split()
                     for b in "a e i o u an en in on er al ou ea".split()]
        words = list({"".join(rng.choices(syllables, k=1 + i % 3)): 0 for i in range(30000)})
        by_rank = list(itertools.accumulate(1 / (i + 3) for i in range(len(words))))
        self.phrases = [" ".join(rng.choices(words, cum_weights=by_rank, k=rng.choice((1, 1, 2, 3))))
                        for _ in range(60000)]
        self.cum = list(itertools.accumulate(1 / (i + 20) ** 0.8 for i in range(len(self.phrases))))

    def text(self, size):
        lines, have = [], 0
        while have < size:
            line = " ".join(self.rng.choices(self.phrases, cum_weights=self.cum, k=6))
            lines.append(line.capitalize() + (".\n\n" if len(lines) % 9 == 8 else ".\n"))
            have += len(line) + 2
        return "".join(lines).encode()[:size]


def photos():
    rng = rng_for("photos")
    exif = b"\xff\xd8\xff\xe1\x10\x00Exif\0\0MM\0*\0\0\0\x08" + b"Camera Maker\0Model One\0".ljust(4076, b"\0")
    for i in range(124):
        stamp = b"2023:%02d:%02d %02d:00:00\0" % (1 + i // 12, 1 + i % 28, i % 24)
        save(f"Pictures/{2020 + i // 42}/IMG_{i:04d}.jpg", exif, stamp,
             b"\xff\xdb\0\x43" + bytes(range(64)) + b"\xff\xda",
             *noise(rng, rng.randint(MIB, 8 * MIB)), b"\xff\xd9")
    for i, size in enumerate((50, 62, 75, 100)):
        save(f"Videos/clip{i}.mp4", struct.pack(">I4s4sI8s", 24, b"ftyp", b"isom", 512, b"isommp42"),
             struct.pack(">I4s", size * MIB + 8, b"mdat"), *noise(rng, size * MIB),
             b"".join(struct.pack(">II", k, 4096 + k % 97) for k in range(20000)))


def pdfs(prose):
    rng = rng_for("pdfs")
    for i in range(100):
        parts = [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"]
        for k in range(rng.randint(8, 32)):
            body = rng.randbytes(rng.randint(20000, 60000))
            parts += [b"%d 0 obj\n<< /Length %d /Filter /FlateDecode >>\nstream\n" % (k, len(body)),
                      body, b"\nendstream\nendobj\n", prose.text(rng.randint(1000, 18000)),
                      b"".join(b"%010d 00000 n \n" % rng.randrange(10 ** 7) for _ in range(60))]
        save(f"Documents/papers/paper-{i:03d}.pdf", *parts, b"%%EOF\n")


def documents(prose):
    rng = rng_for("documents")
    for i in range(1500):
        save(f"Documents/notes/{i % 40:02d}/note-{i:04d}.{('txt', 'md', 'tex')[i % 3]}",
             prose.text(min(int(rng.lognormvariate(10.6, 0.9)), 2 * MIB)))
    for i in range(64):
        save(f"Documents/books/book-{i:02d}.txt", prose.text(rng.randint(600000, 1400000)))


def logs(prose):
    rng = rng_for("logs")
    events = [prose.text(rng.randint(20, 70)).decode().replace("\n", " ") for _ in range(300)]
    for i in range(50):
        now, lines, have, size = MTIME + i * 86400, [], 0, rng.randint(MIB, 5 * MIB)
        while have < size:
            now += rng.randrange(4)
            line = (f"{now} host{rng.randrange(4)} svc[{rng.randrange(900, 32000)}]: {rng.choice(events)}"
                    f" id={rng.getrandbits(48):012x} rc={rng.randrange(3)}\n")
            lines.append(line)
            have += len(line)
        save(f"logs/app-{i:03d}.log", "".join(lines).encode())


def configs(prose):
    rng = rng_for("configs")
    keys = ["_".join(prose.text(14).decode().lower().split()) for _ in range(2000)]
    for i in range(CONFIGS):
        kind, count = ("ini", "json", "conf", "yaml")[i % 4], 1 + int(rng.expovariate(1 / 25))
        pairs = [(rng.choice(keys), rng.choice(("true", "false", str(rng.randrange(65536)), rng.choice(keys))))
                 for _ in range(count)]
        if kind == "json":
            text = "{\n" + ",\n".join(f'  "{k}": "{v}"' for k, v in pairs) + "\n}\n"
        else:
            form = {"ini": "{} = {}\n", "conf": "{} {}\n", "yaml": "{}: {}\n"}[kind]
            text = f"# config {i}\n" + "".join(form.format(k, v) for k, v in pairs)
        save(f".config/app{i % 211:03d}/{i // 1000:02d}/settings-{i:05d}.{kind}", text.encode())


def databases(prose):
    rng = rng_for("databases")
    for name, rows, size in (("mail", 52000, 1000), ("history", 330000, 110)):
        path = os.path.join(ROOT, f".local/share/{name}.sqlite")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        base = prose.text(8 * MIB).decode()
        with sqlite3.connect(path) as con:
            con.execute("create table item (id integer primary key, t integer, key text, body text)")
            spots = ((i, MTIME + 7 * i, f"{rng.getrandbits(64):016x}@host{i % 50}", rng.randrange(len(base) - 4096),
                      rng.randint(size // 2, size * 3 // 2)) for i in range(rows))
            con.executemany("insert into item values (?, ?, ?, ?)",
                            ((i, t, k, base[at:at + n]) for i, t, k, at, n in spots))
            con.execute("create index item_key on item (key)")
        con.close()


def plain(info):
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mtime = MTIME
    return info


def tarballs():
    for out, parts in (("Downloads/core.tar", ("kernel", "mm", "lib", "crypto", "sound")),
                       ("Downloads/docs.tar.gz", ("Documentation",))):
        path = os.path.join(ROOT, out)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as raw:
            zipped = gzip.GzipFile("", "wb", 6, raw, MTIME) if out.endswith("gz") else raw
            with tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as tar:
                for part in parts:
                    tar.add(os.path.join(C1, part), part, filter=plain)
            if zipped is not raw:
                zipped.close()


def tidy():
    """Sets the same time and modes everywhere, whatever the umask."""
    for top, _, files in os.walk(ROOT, topdown=False):
        for name in files:
            path = os.path.join(top, name)
            if not os.path.islink(path):
                os.chmod(path, 0o644)
            os.utime(path, (MTIME, MTIME), follow_symlinks=False)
        os.chmod(top, 0o755)
        os.utime(top, (MTIME, MTIME))


CONFIGS = 13700
os.makedirs(ROOT, exist_ok=True)
words = Prose(rng_for("words"))
photos()
pdfs(words)
documents(words)
logs(words)
configs(words)
databases(words)
tarballs()
for sub in ("fs", "net"):
    shutil.copytree(os.path.join(C1, sub), os.path.join(ROOT, "src/linux", sub), symlinks=True)
tidy()
PYTHON
}

make_c4() { # $1: directory to fill
	python3 - "$1" "${C4_FILES:-500000}" "$MTIME" <<'PYTHON'
import itertools
import os
import random
import sys

ROOT, COUNT, MTIME = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = random.Random("qstore c4")
words = ["".join(rng.choices("etaoinshrdlucmfwyp", k=rng.randint(2, 9))) for _ in range(20000)]
by_rank = list(itertools.accumulate(1 / (i + 3) for i in range(len(words))))
pool = " ".join(rng.choices(words, cum_weights=by_rank, k=6000000)).encode()
serial, leaf = 0, 0
while serial < COUNT:
    path = os.path.join(ROOT, f"d{leaf // 50:03d}", f"s{leaf % 50:02d}")
    os.makedirs(path)
    folder = os.open(path, os.O_RDONLY)
    for _ in range(min(rng.randint(500, 1000), COUNT - serial)):
        head = b"item %08d %016x\n" % (serial, rng.getrandbits(64))
        size = rng.randint(100, 1100) - len(head)
        at = rng.randrange(len(pool) - size)
        out = os.open(f"f{serial:08d}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=folder)
        os.write(out, head + pool[at:at + size])
        os.utime(out, (MTIME, MTIME))
        os.close(out)
        serial += 1
    os.close(folder)
    leaf += 1
PYTHON
}

main() {
	while getopts h opt; do
		case $opt in
		h)
			usage
			exit 0
			;;
		*)
			usage >&2
			exit 2
			;;
		esac
	done
	shift $((OPTIND - 1))
	if [[ $# -lt 1 ]]; then
		usage >&2
		exit 2
	fi
	local dir=$1 name
	shift
	[[ $# -gt 0 ]] || set -- c1 c2 c3 c4
	for name; do
		[[ $name == c[1-4] ]] || die "no corpus '$name' (see corpora.sh -h)"
	done
	umask 022
	mkdir -p "$dir"
	for name; do
		if [[ $name == c3 ]]; then
			make "$dir" c1
		fi
		make "$dir" "$name"
	done
}

make() { # $1: directory of the corpora, $2: name
	local partial="$1/$2.partial"
	if [[ -e $1/$2 ]]; then
		return
	fi
	printf 'corpora.sh: making %s\n' "$1/$2" >&2
	rm -rf -- "$partial"
	"make_$2" "$partial" "$1/c1"
	mv -- "$partial" "$1/$2"
}

main "$@"
