#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A mount shows what was saved, in all that a tree has, to all kinds of readers.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_fuse
new_store
mkdir mnt
bash "$here/nasty_tree.sh" src
mkdir src/db
/usr/bin/python3 - src/db/file.sqlite <<'P'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("create table t (k integer primary key, v text)")
db.executemany("insert into t values (?, ?)", ((i, "v%d" % i) for i in range(50000)))
db.commit()
P
expect 0 q snapshot src --tag daily --tag a/b --host alpha
first=$(latest)

expect 0 q mount mnt
unmount+=("$work/mnt")
grep " $work/mnt fuse.qstore " /proc/mounts >mounts || fail 'it is not mounted'
for word in ro nosuid nodev; do
	grep -qE "[ ,]$word," mounts || fail "not mounted $word"
done
[ "$(ls mnt | tr '\n' ' ')" = 'hosts ids latest snapshots tags ' ] ||
	fail "in it: $(ls mnt)"
[ "$(ls mnt/ids)" = "$first" ] || fail "ids: $(ls mnt/ids)"
[ "$(ls mnt/hosts)" = alpha ] || fail "hosts: $(ls mnt/hosts)"
[ "$(ls mnt/tags | tr '\n' ' ')" = 'a_b daily ' ] || fail "tags: $(ls mnt/tags)"
ls mnt/snapshots | grep -qE '^[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9-]{8}$' ||
	fail "snapshots: $(ls mnt/snapshots)"
time=$(ls mnt/snapshots)
for place in "ids/$first" "snapshots/$time" "hosts/alpha/$time" "tags/daily/$time"; do
	[ "$(stat -c %i "mnt/$place")" = "$(stat -c %i mnt/latest)" ] ||
		fail "$place is not what latest is"
done

# Everything a tree has, by two opinions.
same src mnt/latest/src
rsync -aHAXn --checksum --delete -i --exclude=/deep src/ mnt/latest/src/ >diff 2>&1 ||
	fail "rsync: $(head -3 diff)"
[ ! -s diff ] || fail "rsync sees: $(head -3 diff)"

# Hard links: one number, and the count.
[ "$(stat -c '%i %h' mnt/latest/src/links/file)" = \
	"$(stat -c '%i %h' mnt/latest/src/links/hard3)" ] ||
	fail 'hard links have different numbers'
[ "$(stat -c %h mnt/latest/src/links/file)" = 6 ] || fail 'links are not counted'
# Numbers are the same after mounting again (below).
numbers=$(cd mnt/latest/src && find . -path ./deep -prune -o -printf '%i %p\n' | sort)
[ "$(cut -d' ' -f1 <<<"$numbers" | sort | uniq -d | wc -l)" -le 2 ] ||
	fail 'different files have the same number'

# Holes: where they are, and what they take.
/usr/bin/python3 - src/sparse mnt/latest/src/sparse <<'P' || fail 'holes differ'
import os, sys
def runs(path):
    fd, out, at = os.open(path, os.O_RDONLY), [], 0
    size = os.fstat(fd).st_size
    while at < size:
        try:
            data = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break
        at = os.lseek(fd, data, os.SEEK_HOLE)
        out.append((data, at))
    os.close(fd)
    return size, out
for name in sorted(os.listdir(sys.argv[1])):
    a, b = (runs(os.path.join(d, name)) for d in sys.argv[1:])
    # A hole may be told as data, data never as a hole.
    for begin, end in a[1]:
        assert any(x <= begin and end <= y for x, y in b[1]), (name, a, b)
    blocks = os.stat(os.path.join(sys.argv[2], name)).st_blocks * 512
    assert blocks <= sum(y - x for x, y in b[1]) + 4096 * len(b[1]) + 4096, name
assert len(runs(os.path.join(sys.argv[2], "big"))[1]) >= 1
assert os.stat(os.path.join(sys.argv[2], "big")).st_blocks * 512 < 100 << 20
P

# Readers: databases through mmap, copies, archives, searches.
/usr/bin/python3 - mnt/latest/src/db/file.sqlite <<'P' || fail 'a database'
import mmap, os, sqlite3, sys
db = sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True)
db.execute("pragma mmap_size = 100000000")
assert db.execute("select count(*), max(v) from t").fetchone() == (50000, "v9999")
assert db.execute("select v from t where k = 31337").fetchone() == ("v31337",)
fd = os.open(sys.argv[1], os.O_RDONLY)
view = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
assert view[:15] == b"SQLite format 3"
assert view[len(view) - 4096:] == os.pread(fd, 4096, len(view) - 4096)
P
cp -a mnt/latest/src/links mnt/latest/src/sizes mnt/latest/src/attrs .
same src/links links
same src/sizes sizes
same src/attrs attrs
tar -C mnt/latest/src --exclude=./deep --exclude=./special -cf tree.tar . 2>tar.err
mkdir untar
tar -C untar -xf tree.tar
cmp untar/sizes/3000000 src/sizes/3000000 || fail 'tar'
grep -rqF 'line 99999' mnt/latest/src/sizes || fail 'grep finds nothing'
[ "$(find mnt/latest/src/wide | wc -l)" = "$(find src/wide | wc -l)" ] ||
	fail 'find does not find all'
# Reads at any offset, also over chunks and behind the end.
/usr/bin/python3 - src/sizes/repeat mnt/latest/src/sizes/repeat <<'P' || fail 'offsets'
import os, random, sys
want = open(sys.argv[1], "rb").read()
fd = os.open(sys.argv[2], os.O_RDONLY)
rng = random.Random(1)
for _ in range(500):
    at, n = rng.randrange(len(want) + 10), rng.choice((1, 4096, 70000, 300000))
    assert os.pread(fd, n, at) == want[at:at + n], (at, n)
P
# A directory listed from the middle, and names that are not there.
/usr/bin/python3 - mnt/latest/src/wide <<'P' || fail 'telldir'
import os, sys
names = sorted(os.listdir(sys.argv[1]))
assert len(names) == len(set(names)) >= 5000
for name in names[::997]:
    os.stat(os.path.join(sys.argv[1], name))
for name in ("", "\x01", "zzzz", names[0] + "x", names[-1][:-1]):
    try:
        os.lstat(os.path.join(sys.argv[1], name) if name else "/nope")
    except FileNotFoundError:
        continue
    assert name in names, name
P
! touch mnt/latest/src/new 2>/dev/null || fail 'it can be written to'
! rm mnt/latest/src/sizes/0 2>/dev/null || fail 'it can be deleted from'
[ "$(stat -f -c %b mnt)" -gt 1000 ] || fail 'df shows nothing'

# New snapshots appear, also under latest; a name stays with its snapshot.
(cd mnt/latest/src && sleep 1.1 && echo new >"$work/src/new" &&
	expect 0 q -r "$work/store" snapshot "$work/src" --host beta --tag later &&
	sleep 1.1 && [ ! -e new ]) || fail 'what was there changed'
ls mnt >/dev/null
[ "$(ls mnt/ids | wc -l)" = 2 ] || fail 'the new one is not shown'
[ "$(ls mnt/hosts | tr '\n' ' ')" = 'alpha beta ' ] || fail 'nor its host'
[ -e "mnt/latest$work/src/new" ] || fail 'latest is not the latest'
[ -e "mnt/snapshots/$time/src/sizes/0" ] || fail 'the old one is gone'

# Busy, then not.
(cd mnt && expect 11 q umount "$work/mnt" && says 'files in it are open') || exit 1
expect 0 q umount mnt
expect 1 q umount mnt
says 'nothing is mounted'
expect 1 q umount /proc
says "not qstore's"

# One tree at the root; numbers as before.
expect 0 q mount --snapshot "$first:/src" mnt
same src/links mnt/links
expect 0 q umount mnt
expect 0 q mount --snapshot "$first" mnt
[ "$(cd mnt/src && find . -path ./deep -prune -o -printf '%i %p\n' | sort)" = "$numbers" ] ||
	fail 'numbers changed'
expect 0 q umount mnt
expect 0 q mount --host beta mnt
[ "$(ls mnt/ids | wc -l)" = 1 ] || fail '--host shows all'
expect 0 q umount mnt

# In front; signals end it in order, with 0.
for signal in INT TERM HUP; do
	: >front # what the one before said is no answer
	"$qstore" mount -f mnt >front 2>&1 &
	pid=$!
	wait_for "grep -q mounted front"
	ls mnt/latest >/dev/null
	kill -$signal $pid
	wait $pid || fail "SIG$signal: exit $?: $(cat front)"
	! grep -q " $work/mnt " /proc/mounts || fail "SIG$signal left it mounted"
done

# A killed one leaves a dead mount: said in words, and cleared away.
: >front
"$qstore" mount -f mnt >front 2>&1 &
pid=$!
wait_for "grep -q mounted front"
grep " $work/mnt " /proc/mounts >/dev/null
kill -9 $pid
wait $pid 2>/dev/null || true
expect 1 q mount mnt
says 'has died'
says 'qstore umount'
expect 0 q umount mnt
expect 0 q mount mnt
expect 1 q mount mnt
says 'already'
expect 0 q umount mnt

# What can't be mounted.
expect 1 q mount nowhere
says 'mkdir'
expect 1 q mount src/sizes/0
says 'no directory'
expect 1 q mount --snapshot "$first:/src/sizes/0" mnt
says 'no directory'
expect 1 q mount --owner nobody mnt
says 'stored nor mine'
expect 1 q mount --cache-size 1M mnt
says '8M'
expect 12 env QSTORE_PASSWORD_FILE=/etc/hostname "$qstore" mount mnt
says 'wrong passphrase'
! grep -q " $work/mnt " /proc/mounts || fail 'something is mounted still'
