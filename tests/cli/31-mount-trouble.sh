#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# A damaged or missing object costs the files in it; a store that is gone or
# silent costs what is not at hand, in bounded time.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_fuse
new_store
mkdir src mnt
readers=()
noise one 20000000 >src/one
expect 0 q snapshot src
old=$(find store -path '*/obj/*' -type f | sort)
noise two 20000000 >src/two
seq 1000 >src/small
expect 0 q snapshot src
find store -path '*/obj/*' -type f | sort >now
new=$(comm -13 <(echo "$old") now)
victim=$(ls -S $new | head -1)
name=$(basename "$victim")

mount_in_front() { # OPTION...
	: >front
	"$qstore" mount -f "$@" mnt >front 2>&1 &
	pid=$!
	wait_for "grep -q mounted front"
	unmount=("$work/mnt")
}

end() {
	kill $pid
	wait $pid || fail "exit $?: $(tail -3 front)"
	unmount=()
}

# A flipped bit in the middle of a pack's data.
cp "$victim" kept
/usr/bin/python3 - "$victim" <<'P'
import os, sys
os.chmod(sys.argv[1], 0o600)
with open(sys.argv[1], "r+b") as file:
    file.seek(5000000)
    byte = file.read(1)
    file.seek(5000000)
    file.write(bytes([byte[0] ^ 1]))
P
mount_in_front
cmp src/one mnt/latest/src/one || fail 'another file suffers'
expect 1 cp mnt/latest/src/two /dev/null
says 'Input/output error'
expect 1 cp mnt/latest/src/two /dev/null
cmp src/one mnt/latest/src/one || fail 'another file suffers, later'
end
[ "$(grep -c "${name:0:16}" front)" = 1 ] ||
	fail "it is told $(grep -c "${name:0:16}" front) times: $(cat front)"
! grep -qE 'src|two' <(grep -v ^mounted front) || fail "a name is told: $(cat front)"

# Missing altogether, while mounted; it heals when it is back.
cp kept "$victim"
mount_in_front
ls -l mnt/latest/src >/dev/null
mv "$victim" aside
expect 1 cp mnt/latest/src/two /dev/null
says 'Input/output error'
cmp src/one mnt/latest/src/one || fail 'another file suffers'
grep -q "${name:0:16}" front || fail "nothing is told: $(cat front)"
mv aside "$victim"
cmp src/two mnt/latest/src/two || fail 'it does not heal'
end

# Missing, and the index has forgotten it: not a line for each of its chunks.
# The opening tells of it, and so does the first look at the log.
mv "$victim" aside
expect 1,3 q check
mount_in_front
expect 1 cp mnt/latest/src/two /dev/null
says 'Input/output error'
for at in 1 2 3 4 5 6 7 8 9; do
	expect 1 dd if=mnt/latest/src/two of=/dev/null bs=1M skip=$at count=1
done
end
grep -q "files need what is missing .*${name:0:16}" front ||
	fail "it is not named: $(cat front)"
[ "$(grep -c . front)" -le 4 ] || fail "it is told again and again: $(cat front)"
mv aside "$victim"
expect 0 q check
mount_in_front
cmp src/two mnt/latest/src/two || fail 'it does not heal'
end

# A large directory whose pack is missing: an error, not "no such file", and
# nothing that stays when it is back.
mkdir -p wide/d
/usr/bin/python3 - <<'P' >names # which do not compress, so it is several MiB
import hashlib
for i in range(30000):
    name = hashlib.shake_256(b"%d" % i).hexdigest(100)
    open("wide/d/" + name, "w").close()
    print(name)
P
one=$(sed -n 7777p names)
find store -path '*/obj/*' -type f | sort >now
expect 0 q snapshot wide
find store -path '*/obj/*' -type f | sort >later
mount_in_front
ls mnt/latest/wide >/dev/null
mkdir away
comm -13 now later >moved
while read -r file; do mv "$file" away/; done <moved
expect 1 stat "mnt/latest/wide/d/$one"
says 'Input/output error'
while read -r file; do mv "away/$(basename "$file")" "$file"; done <moved
expect 0 stat "mnt/latest/wide/d/$one"
expect 1 stat mnt/latest/wide/d/nothing
says 'No such file'
end
expect 0 q snapshot src

# The index is damaged, a record is lost and that is accepted: an error in words
# for what needs it, and the mount goes on until it is ended.
cp -a cache kept-cache
cp -a store kept-store
: >front
"$qstore" --accept-rollback mount -f mnt >front 2>&1 &
pid=$!
wait_for "grep -q mounted front"
unmount=("$work/mnt")
rm "$(find store -path '*/log/*' -type f -printf '%T@ %p\n' | sort -n |
	tail -1 | cut -d' ' -f2)"
/usr/bin/python3 - cache/qstore/*/index.sqlite* <<'P'
import os, sys
for name in sys.argv[1:]:
    size = os.path.getsize(name)
    if name.endswith("-shm") or size <= 4096:
        continue
    with open(name, "r+b") as file:
        file.seek(4096)
        file.write(b"Z" * (size - 4096))
P
for i in 1 2 3; do
	ls mnt mnt/snapshots >/dev/null
	sleep 1.1
done
end
rm -rf cache store
mv kept-cache cache
mv kept-store store

# The whole store goes away: what is cached is there, the rest is an error.
mount_in_front
cmp src/one mnt/latest/src/one
mkdir gone
mv store/*/obj/?? store/*/log/* gone
cmp src/one mnt/latest/src/one || fail 'what the kernel has is gone'
expect 1 timeout 60 cp mnt/latest/src/two /dev/null
says 'Input/output error'
sleep 1.1
ls mnt/ids >/dev/null || fail 'it does not say what the log says'
mv gone/?? store/*/obj/
mv gone/* store/*/log/
sleep 1.1
cmp src/two mnt/latest/src/two || fail 'it does not come back'
end

# A store that hangs: an error within the time, and the mount still ends.
need_shim
seq 2000 >src/small2
expect 0 q snapshot src
: >front
LD_PRELOAD=$shim QS_FAULT=hang:pread:1+ QS_FAULT_WHEN=$work/hang-now \
	"$qstore" mount -f --timeout 1s mnt >front 2>&1 &
pid=$!
wait_for "grep -q mounted front"
unmount=("$work/mnt")
cat mnt/latest/src/small >/dev/null
touch hang-now
# Many at once: each takes a thread of the mount's.
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	(! timeout 60 dd if=mnt/latest/src/two of=/dev/null bs=4096 \
		skip=$((i * 400)) count=1 2>"err$i" || echo read >"err$i") &
	readers+=($!)
done
wait "${readers[@]}"
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	grep -q 'Input/output error' "err$i" || fail "a read: $(cat "err$i")"
done
for i in 1 2 3; do
	expect 1 timeout 60 cp mnt/latest/src/two /dev/null
	says 'Input/output error'
done
grep -q 'has not answered' front || fail "nothing is told: $(cat front)"
# What needs no store works.
ls mnt mnt/ids mnt/snapshots >/dev/null
kill $pid
code=0
timeout 60 tail --pid=$pid -f /dev/null || fail 'it does not end'
wait $pid || code=$?
[ "$code" = 1 ] || [ "$code" = 0 ] || fail "exit $code"
! grep -q " $work/mnt " /proc/mounts || fail 'it is mounted still'
unmount=()
