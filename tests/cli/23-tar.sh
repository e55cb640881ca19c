#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# dump as tar: other programs unpack it, without a warning where that can be.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need tar
mkdir -p src/inner
echo plain >src/a
echo umlaut >src/ä
ln src/ä src/ö
ln -s ä src/ü
head -c 100000 /dev/zero | tr '\0' z >"src/inner/$(printf 'long-%.0s' {1..40})ß"
noise rest 70001 >src/rest
chmod 640 src/a
acls=false
if command -v setfacl >/dev/null && setfacl -m u:12345:rw src/a 2>/dev/null; then
	setfacl -m g:54321:r,d:u:12345:rx src/inner
	acls=true
fi
xattrs=false
command -v setfattr >/dev/null &&
	setfattr -n user.note -v kept src/rest 2>/dev/null && xattrs=true
new_store
expect 0 q snapshot src

last='dump -a tar'
"$qstore" dump -a tar latest /src >tree.tar 2>err || fail 'exit not 0'
mkdir plain full
tar -C plain -xpf tree.tar 2>err || fail 'tar could not unpack it'
[ ! -s err ] || fail "tar warns: $(head -3 err)"
/usr/bin/python3 "$here/same_tree.py" --data src "plain/src" >differ ||
	fail "not the same: $(head -3 differ)"
# With ACLs and attributes: the same in every respect.
if $acls && $xattrs && tar --help | grep -q -- --acls; then
	tar -C full --acls --xattrs -xpf tree.tar 2>err || fail 'tar failed'
	says_not 'gnoring'
	same src "full/src"
fi

# Names of any bytes, in turns with others: a second reader sees each.
mkdir odd
for name in a $'b\xff' c $'d\xed\xa0\x80\xed\xb0\x80' ä $'f\xc0\x80' g; do
	echo "$name" >"odd/$name"
	ln -s "$name" "odd/$name.link"
done
expect 0 q snapshot odd
"$qstore" dump -a tar latest /odd >odd.tar 2>err || fail 'exit not 0'
mkdir strange
tar -C strange -xpf odd.tar 2>/dev/null || fail 'tar could not unpack odd names'
/usr/bin/python3 "$here/same_tree.py" --data odd "strange/odd" >differ ||
	fail "odd names differ: $(head -3 differ)"
/usr/bin/python3 -c '
import os, sys, tarfile
names = {os.path.basename(os.fsencode(name)) for name in
         tarfile.open("odd.tar", errors="surrogateescape").getnames()}
want = set(os.listdir(b"odd"))
sys.exit(repr(want - names) if want - names else 0)' || fail 'python reads other names'

# What tar has no form for is said.
/usr/bin/python3 -c '
import socket
socket.socket(socket.AF_UNIX).bind("odd/socket")'
expect 0 q snapshot odd
expect 3 q dump -a tar latest /odd --target with-socket.tar
says 'odd/socket: .*socket'
tar -tf with-socket.tar >list 2>/dev/null || fail 'no archive'
grep -q 'odd/g' list || fail 'the rest is not there'
