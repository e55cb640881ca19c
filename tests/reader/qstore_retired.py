# SPDX-License-Identifier: ISC
"""What a log says is retired: docs/FORMAT.md, "What is retired".

Part of the second reader, qstore_read.py; plain sets, for small logs.
"""
import collections

# name, prev: hex; kind: "snapshot", "retire" or ""; heads: (device, seq, name)
Record = collections.namedtuple(
    "Record", "device seq name prev seen kind heads names")


def in_front(record, by_name):
    """The names of the record and of those before it, by prev."""
    found = set()
    while record is not None:
        found.add(record.name)
        record = by_name.get(record.prev)
    return found


def doubts(chain, device):
    """Numbers that a device has twice; those of records behind a gap."""
    seqs = collections.Counter(r.seq for r in chain if r.device == device)
    names = {r.name for r in chain if r.device == device}
    twice = {s for s, n in seqs.items() if n > 1}
    gaps = {r.seq for r in chain
            if r.device == device and r.seq and r.prev not in names}
    # The one that it follows is not there, another of that number is.
    return twice | {s - 1 for s in gaps if s - 1 in seqs}, gaps


def retired_names(chain, admin):
    """The names (bytes) of the objects that are retired."""
    by_name = {r.name: r for r in chain}
    retires = [r for r in chain if r.kind == "retire"]
    snapshots = [r for r in chain if r.kind == "snapshot"]
    front = {r.name: in_front(r, by_name) for r in retires}
    by_device = {r.device: doubts(chain, r.device) for r in chain}
    meant = collections.defaultdict(list)
    for retire in retires:
        first = bytes.fromhex(retire.name)[:4]
        meant[int.from_bytes(first, "little")].append(retire)

    def knows(snapshot, retire):
        found = meant.get(snapshot.seen, ()) if snapshot.seen else ()
        return len(found) == 1 and retire.name in front[found[0].name]

    def counts(retire):
        considered = set()
        heads = {device: (seq, name) for device, seq, name in retire.heads}
        for device, (seq, name) in heads.items():
            if name not in by_name or by_name[name][:2] != (device, seq):
                return False
        for device, (twice, gaps) in by_device.items():
            seq = heads[device][0] if device in heads else -1
            if device == admin:
                if gaps:
                    return False
                if device in heads:
                    head = by_name[heads[device][1]]
                    considered |= in_front(head, by_name)
                continue
            if any(s <= seq for s in twice) or any(s > seq for s in gaps):
                return False
            considered |= {r.name for r in chain
                           if r.device == device and r.seq <= seq}
        return all(s.name in considered or knows(s, retire)
                   for s in snapshots)

    found = set()
    for retire in retires:
        if counts(retire):
            found |= {name for name in retire.names
                      if not any(name in s.names and knows(s, retire)
                                 for s in snapshots)}
    return found
