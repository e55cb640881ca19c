#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A second reader of qstore stores, written from docs/FORMAT.md alone.

    qstore_read.py [--folder ID] [--password-file F] [--recovery CODE]
                   [--key-file F] STORE list
    qstore_read.py [...] STORE restore SNAPSHOT TARGET

Needs Python 3.9, python3-nacl and python3-zstandard.  It shares no line with
the C code and reads no index of its.  The factors given are used together.
Exit 0; 1 fatal; 3 something is damaged, missing or could not be restored;
12 no key slot opens.
"""
import argparse
import errno
import os
import re
import resource
import stat
import sys
import time

from qstore_bytes import (BLOCKDEV, CHARDEV, DATA, DIR, FIFO, FILE, HOLE,
                          SOCKET, SYMLINK, Damage, WrongKey, name_of, need,
                          open_slot, recovery_secret, warn, warnings)
from qstore_folder import Folder


# --------------------------------------------------------------- restore

class Restore:
    """Writes a tree below one folder; nothing outside is ever opened."""

    def __init__(self, folder, target):
        self.folder, self.root = folder, os.geteuid() == 0
        os.makedirs(target, exist_ok=True)
        if os.listdir(target):
            sys.exit("qstore_read: %s: is not empty" % target)
        self.top = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        self.groups = {}  # link group: (path, node) of the first one

    def run(self, depth, refs):
        levels = [(self.top, None, [], self.folder.nodes(depth, refs))]
        while levels:
            fd, node, path, entries = levels[-1]
            try:
                child = next(entries, None)
            except (Damage, OSError) as why:
                warn("/%s: %s" % (shown(path), why))
                child = None
            if child is None:
                levels.pop()
                if node is not None:
                    self.guard(path, self.finish, fd, levels[-1][0], node)
                os.close(fd)
                continue
            here = path + [child.name]
            if child.type != DIR:
                self.guard(here, self.item, fd, here, child)
                continue
            need(len(here) <= 1024, "folders nested too deeply")
            self.guard(here, os.mkdir, child.name, 0o700, dir_fd=fd)
            try:
                below = open_folder(fd, child.name)
            except OSError:
                continue
            levels.append((below, child, here,
                           self.folder.nodes(child.depth, child.refs)))

    def guard(self, path, function, *args, **named):
        try:
            function(*args, **named)
        except (Damage, OSError) as why:
            warn("/%s: %s" % (shown(path), why))

    def item(self, fd, path, node):
        first = self.groups.get(node.group) if node.group else None
        if first is not None and (first[1].type, first[1].refs,
                                  first[1].target) == \
                (node.type, node.refs, node.target):
            return self.link(fd, first[0], node)
        name = node.name
        if node.type == FILE:
            self.file(fd, node)
        elif node.type == SYMLINK:
            os.symlink(node.target, name, dir_fd=fd)
            self.finish(None, fd, node)
        else:
            kinds = {FIFO: stat.S_IFIFO, CHARDEV: stat.S_IFCHR,
                     BLOCKDEV: stat.S_IFBLK, SOCKET: stat.S_IFSOCK}
            os.mknod(name, kinds[node.type] | 0o600, os.makedev(*node.rdev),
                     dir_fd=fd)
            self.finish(None, fd, node)
        if node.group:
            self.groups.setdefault(node.group, (path, node))

    def link(self, fd, path, node):
        source = os.dup(self.top)
        try:
            for part in path[:-1]:
                below = open_folder(source, part)
                os.close(source)
                source = below
            os.link(path[-1], node.name, src_dir_fd=source, dst_dir_fd=fd,
                    follow_symlinks=False)
        finally:
            os.close(source)

    def file(self, fd, node):
        out = os.open(node.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL |
                      os.O_NOFOLLOW, 0o600, dir_fd=fd)
        try:
            at = 0
            for ref in self.folder.content(node.depth, node.refs):
                if ref.id != HOLE:
                    rest = self.folder.chunk(ref.id, DATA, ref.len)
                    done = 0
                    while done < len(rest):
                        done += os.pwrite(out, rest[done:], at + done)
                at += ref.len
            need(at == node.size, "the file's length is wrong")
            os.ftruncate(out, node.size)
            self.finish(out, fd, node)
        except (Damage, OSError):
            os.unlink(node.name, dir_fd=fd)
            raise
        finally:
            os.close(out)

    def finish(self, own, fd, node):
        """Owner, mode, xattrs, time: in this order, each undoes the next."""
        path = own if own is not None else node.name
        at = {} if own is not None else {"dir_fd": fd}
        if self.root:
            os.chown(path, node.uid, node.gid,
                     **(dict(at, follow_symlinks=False) if at else {}))
        if node.type != SYMLINK:
            os.chmod(path, node.mode if self.root else node.mode & 0o1777,
                     **at)
        for key, value in node.xattrs:
            try:
                if own is not None:
                    os.setxattr(own, key, value)
                else:
                    os.setxattr(b"/proc/self/fd/%d/%s" % (fd, node.name), key,
                                value, follow_symlinks=False)
            except OSError as why:
                if why.errno not in (errno.EPERM, errno.ENOTSUP) or self.root:
                    warn("%s: attribute %s: %s" % (shown([node.name]),
                                                   shown([key]), why))
        os.utime(path, ns=(node.mtime, node.mtime),
                 **(dict(at, follow_symlinks=False) if at else {}))


def open_folder(fd, name):
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW,
                   dir_fd=fd)


def shown(path):
    return b"/".join(path).decode("utf-8", "replace")


# ------------------------------------------------------------------ main

def get_secrets(args):
    secrets = {}
    if args.password_file:
        with open(args.password_file, "rb") as file:
            line = file.readline()
        secrets[1] = line[:-1] if line.endswith(b"\n") else line
    if args.recovery:
        secrets[4] = recovery_secret(args.recovery)
    if args.key_file:
        with open(args.key_file, "rb") as file:
            secrets[5] = name_of(file.read())
    if not secrets:
        sys.exit("qstore_read: give --password-file, --recovery, --key-file")
    return secrets


def open_store(args):
    secrets = get_secrets(args)
    for folder in sorted(os.listdir(args.store)):
        if not re.fullmatch("[0-9a-f]{32}", folder) or \
                not folder.startswith(args.folder):
            continue
        path = os.path.join(args.store, folder)
        for entry in sorted(os.listdir(os.path.join(path, "keys"))):
            try:
                need(re.fullmatch(r"[0-9a-f]{64}\.key", entry), "foreign file")
                with open(os.path.join(path, "keys", entry), "rb") as file:
                    slot = file.read(2049)
                need(name_of(slot).hex() == entry[:64], "damaged")
                need(slot[16:32].hex() == folder, "of another folder")
                keys = open_slot(slot, secrets)
            except Damage as why:
                warn("key slot %s: %s" % (entry[:16], why))
                continue
            if keys is not None:
                return Folder(path, bytes.fromhex(folder), keys)
    raise WrongKey("no key slot opens with what was given")


def list_snapshots(folder):
    for s in folder.snapshots:
        when = time.strftime("%Y-%m-%d %H:%M:%S",
                             time.gmtime(s["time"] // 10**9))
        print("%s  %s  %s  %d files  %d bytes  [%s]  %s" % (
            s["name"][:8], when, shown([s["host"]]), s["totals"][0],
            s["totals"][3], ",".join(shown([t]) for t in s["tags"]),
            " ".join(shown([p]) for p in s["paths"])))


def main():
    parser = argparse.ArgumentParser(description="read a qstore store")
    for option in ("--password-file", "--recovery", "--key-file"):
        parser.add_argument(option)
    parser.add_argument("--folder", default="")
    parser.add_argument("store")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    restore = commands.add_parser("restore")
    restore.add_argument("snapshot")
    restore.add_argument("target")
    args = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        folder = open_store(args)
        if args.command == "list":
            list_snapshots(folder)
            return 3 if warnings else 0
        found = [s for s in folder.snapshots
                 if s["name"].startswith(args.snapshot)]
        if args.snapshot == "latest":
            found = folder.snapshots[-1:]
        need(len(found) == 1, "there is not one snapshot %s" % args.snapshot)
        Restore(folder, args.target).run(*found[0]["root"])
    except WrongKey as why:
        print("qstore_read: %s" % why, file=sys.stderr)
        return 12
    except (Damage, OSError) as why:
        print("qstore_read: %s" % why, file=sys.stderr)
        return 1
    return 3 if warnings else 0


if __name__ == "__main__":
    sys.exit(main())
