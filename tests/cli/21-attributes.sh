#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Attributes and ACLs of what is restored are those saved, and no others.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_root
need setfattr getfattr setfacl getfacl
touch probe
setfacl -m u:65534:r probe 2>/dev/null || skip 'no ACLs here'
setfattr -n trusted.probe -v 1 probe 2>/dev/null || skip 'no trusted.* here'

# Those of a symlink, which nothing may follow.
mkdir -p src/inner
echo hello >src/plain
echo secret >src/inner/file
chmod 640 src/plain src/inner/file
chmod 600 probe
ln -s plain src/link
mkfifo -m 640 src/pipe
setfattr -h -n trusted.link -v yes src/link
setfacl -m u:1:r src/inner/file
new_store
expect 0 q snapshot src
expect 0 q restore latest:/src --target out1 --privileged
same src out1
getfattr -h -n trusted.link --only-values out1/link >value
[ "$(cat value)" = yes ] || fail 'the symlink lost its attribute'
getfattr -n trusted.link out1/plain 2>/dev/null &&
	fail 'the attribute went where the symlink leads'
expect 3 q restore latest:/src --target out2
says 'privileged attributes'

# A target whose folders give ACLs to what is made in them.
mkdir -p out3/old
setfacl -d -m u:65534:rwx,g:7:rwx out3 out3/old
setfacl -d -m u::r out3/old
expect 0 q restore latest:/src --target out3 --privileged
rmdir out3/old
same src out3
getfacl -cp out3/plain out3/pipe out3/inner >acl
grep -E '^(default:)?(user|group):[0-9a-z]' acl && fail 'an ACL was inherited'
getfacl -cpn out3/inner/file | grep -q '^user:1:r' || fail 'its own ACL is lost'

# The mode is right, too, where that ACL would take rights away.
mkdir out4
setfacl -d -m u::r,g::-,o::- out4
chmod 600 src/plain
expect 0 q snapshot src
expect 0 q restore latest:/src --target out4 --privileged
same src out4
