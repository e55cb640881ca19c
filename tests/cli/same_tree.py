#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""same_tree.py A B: compares two trees in all that a tree has.

Types, modes, owners, sizes, times of modification in ns, link targets, device
numbers, hard links (who shares with whom), extended attributes (ACLs and
capabilities are such), bytes.  Works by descriptors, so paths may be longer
than PATH_MAX.  --data compares types, bytes and link targets only.
Exit 0 when the same, 1 with one line for each difference.
"""
import os
import resource
import stat
import sys

sys.setrecursionlimit(20000)
top = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (top, top))

data_only = "--data" in sys.argv
left, right = [arg for arg in sys.argv[1:] if arg != "--data"]
differences = 0
links = ({}, {})  # (dev, ino) -> first path


def differ(path, what, a, b):
    global differences
    differences += 1
    print("%r: %s: %r, %r" % (path[-200:], what, a, b))


def xattrs(fd, name):
    path = "/proc/self/fd/%d/%s" % (fd, name)
    return {key: os.getxattr(path, key, follow_symlinks=False)
            for key in os.listxattr(path, follow_symlinks=False)}


def same_bytes(path, fds, name):
    files = [os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fd)
             for fd in fds]
    at = 0
    while True:
        a, b = [os.read(file, 1 << 20) for file in files]
        if a != b:
            differ(path, "bytes near %d" % at, len(a), len(b))
        at += len(a)
        if a != b or not a:
            break
    for file in files:
        os.close(file)


def same_node(path, fds, name, depth):
    stats = [os.stat(name, dir_fd=fd, follow_symlinks=False) for fd in fds]
    a, b = stats
    kind = stat.S_IFMT(a.st_mode)
    if kind != stat.S_IFMT(b.st_mode):
        differ(path, "type", oct(a.st_mode), oct(b.st_mode))
        return
    fields = [] if data_only else ["st_mode", "st_uid", "st_gid",
                                   "st_mtime_ns"]
    if kind == stat.S_IFREG:
        fields.append("st_size")
    if kind in (stat.S_IFBLK, stat.S_IFCHR):
        fields.append("st_rdev")
    for field in fields:
        if getattr(a, field) != getattr(b, field):
            differ(path, field, getattr(a, field), getattr(b, field))
    if not data_only:
        a_attrs, b_attrs = [xattrs(fd, name) for fd in fds]
        if a_attrs != b_attrs:
            differ(path, "xattrs", a_attrs, b_attrs)
        if kind != stat.S_IFDIR and (a.st_nlink > 1 or b.st_nlink > 1):
            firsts = [seen.setdefault((s.st_dev, s.st_ino), path)
                      for seen, s in zip(links, stats)]
            if firsts[0] != firsts[1]:
                differ(path, "hard link to", *firsts)
    if kind == stat.S_IFLNK:
        targets = [os.readlink(name, dir_fd=fd) for fd in fds]
        if targets[0] != targets[1]:
            differ(path, "target", *targets)
    elif kind == stat.S_IFREG:
        same_bytes(path, fds, name)
    elif kind == stat.S_IFDIR:
        inner = [os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW,
                         dir_fd=fd) for fd in fds]
        same_folder(path, inner, depth + 1)
        for fd in inner:
            os.close(fd)


def same_folder(path, fds, depth):
    a, b = [set(os.listdir(fd)) for fd in fds]
    for name in sorted(a ^ b):
        differ(path + "/" + name, "is there", name in a, name in b)
    for name in sorted(a & b):
        same_node(path + "/" + name, fds, name, depth)


roots = [os.open(root, os.O_RDONLY | os.O_DIRECTORY)
         for root in (left, right)]
same_folder("", roots, 0)
sys.exit(1 if differences else 0)
