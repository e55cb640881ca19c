#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Restore does with few descriptors, however wide and deep the tree is.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

few() { # LIMIT COMMAND...
	bash -c 'ulimit -n "$0" && exec "$@"' "$@"
}

/usr/bin/python3 - <<'PYTHON'
import os
for i in range(400):
    os.makedirs("src/wide/d%03d" % i)
    for j in range(3):
        with open("src/wide/d%03d/f%d" % (i, j), "w") as out:
            out.write("%d in %d\n" % (j, i))
path = "src/deep"
os.mkdir(path)
for i in range(300):
    path += "/d"
    os.mkdir(path)
    for name in "a", "z": # one before the way down, one after it
        with open(path + "/" + name, "w") as out:
            out.write("%s at %d\n" % (name, i))
for i in range(12):
    with open("src/big%d" % i, "wb") as out:
        for j in range(3):
            out.write(os.urandom(1 << 20))
    os.link("src/big%d" % i, path + "/link%d" % i)
os.utime("src/deep", ns=(1, 1))
PYTHON
new_store
expect 0 q snapshot src
for limit in 64 40; do
	expect 0 few "$limit" "$qstore" restore latest:/src \
		--target "out$limit" --verify
	same src "out$limit"
done
# Over what is there, and with what is to be deleted.
mkdir -p out64/wide/d100/extra/folder
echo more >out64/deep/d/d/d/d/more
rm -r out64/wide/d200 out64/deep/d/d/d/d/d/d
expect 0 few 64 "$qstore" restore latest:/src --target out64 --delete \
	--overwrite if-changed
same src out64
expect 0 few 64 "$qstore" restore latest:/src --target out64 --delete -n
expect 0 few 64 "$qstore" restore latest:/src --target none -n --delete
expect 0 few 64 "$qstore" restore latest:/src --target out5 --include a
[ "$(find out5 -type f | wc -l)" = 300 ] || fail 'not all of 300 files'
