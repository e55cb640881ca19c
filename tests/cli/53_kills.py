# SPDX-License-Identifier: ISC
"""Four clients save while they, or their hubs, are killed: 53_kills.py KILLS SEED.

First each saves into a folder of its own, then all are machines of one folder.
"""
import glob
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

qstore, kills, seed = os.environ["QSTORE"], int(sys.argv[1]), sys.argv[2]
work, here = os.getcwd(), os.path.dirname(os.path.abspath(__file__))
CLIENTS = 4
print("seed", seed)


def run(argv, who, check=True):
    done = subprocess.run(argv, env=env_of(who), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=120)
    if check:
        assert done.returncode == 0, (argv, done.returncode, done.stderr)
    return done


def env_of(who):
    return dict(os.environ, QSTORE_HOST=who,
                XDG_CACHE_HOME="%s/%s.cache" % (work, who),
                XDG_STATE_HOME="%s/%s.state" % (work, who))


def noise(rng, length):
    return hashlib.shake_256(rng.randbytes(16)).digest(length)


class Counts:
    def __init__(self):
        self.lock = threading.Lock()
        self.left = kills
        self.client = self.hub = self.acknowledged = self.runs = self.cut = 0

    def take(self):
        with self.lock:
            if self.left == 0:
                return False
            self.left -= 1
            return True

    def add(self, what):
        with self.lock:
            setattr(self, what, getattr(self, what) + 1)


class Client(threading.Thread):
    def __init__(self, name, store, counts, share):
        super().__init__()
        self.who, self.store, self.counts, self.share = (name, store, counts,
                                                         share)
        self.rng = random.Random(seed + name)
        self.src = "%s/%s.src" % (work, name)
        self.kept, self.round, self.failure, self.took = [], 0, None, 0.3
        os.makedirs(self.src)

    def url(self):
        return ("exec:echo $$ >%s/%s.pid; exec %s serve --store %s"
                % (work, self.who, qstore, self.store))

    def change(self):
        """New files only, so that a copy of the tree may share the old ones."""
        self.round += 1
        sub = os.path.join(self.src, "d%d" % (self.round % 3))
        os.makedirs(sub, exist_ok=True)
        for i in range(self.rng.randrange(1, 8)):
            path = os.path.join(sub, "f%d" % self.rng.randrange(12))
            if os.path.exists(path):
                os.unlink(path)
            with open(path, "wb") as file:
                file.write(noise(self.rng, self.rng.choice(
                    (1, 5000, 70000, 400000, 1500000))))

    def hub_pid(self):
        try:
            with open("%s/%s.pid" % (work, self.who)) as file:
                return int(file.read())
        except (FileNotFoundError, ValueError):
            return 0

    def kill(self, child, delay):
        time.sleep(delay)
        pid = self.hub_pid()
        if self.rng.random() < 0.5 and pid:
            try:
                os.kill(pid, signal.SIGKILL)
                self.counts.add("hub")
            except ProcessLookupError:
                self.counts.add("cut")  # it was over
        elif child.poll() is None:
            child.kill()
            self.counts.add("client")
        else:
            self.counts.add("cut")

    def save(self, to_kill):
        pid_file = "%s/%s.pid" % (work, self.who)
        if os.path.exists(pid_file):
            os.unlink(pid_file)
        self.counts.add("runs")
        begun = time.monotonic()
        child = subprocess.Popen(
            [qstore, "-r", self.url(), "snapshot", "--json",
             os.path.basename(self.src)],
            env=env_of(self.who), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if to_kill:
            self.kill(child, self.rng.uniform(0, self.took * 1.1))
        out, err = child.communicate(timeout=120)
        if not to_kill:
            assert child.returncode == 0, (self.who, err)
            self.took = time.monotonic() - begun
        if child.returncode == 0:
            last = json.loads(out.decode().splitlines()[-1])
            copy = "%s/%s.kept/%d" % (work, self.who, self.round)
            shutil.copytree(self.src, copy, copy_function=os.link)
            self.kept.append((last["snapshot_id"], copy))
            self.counts.add("acknowledged")
        else:
            assert child.returncode == -9 or err.strip(), "without a word"
            assert child.returncode in (-9, 1, 11), (child.returncode, err)
        # Whatever was killed: the hub's process ends by itself.
        pid, until = self.hub_pid(), time.monotonic() + 30
        while pid and os.path.exists("/proc/%d" % pid):
            with open("/proc/%d/stat" % pid) as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    break
            assert time.monotonic() < until, "a hub stays: %d" % pid
            time.sleep(0.01)

    def run(self):
        try:
            self.change()
            self.save(False)
            for i in range(self.share):
                self.change()
                self.save(self.counts.take())
            self.change()
            self.save(False)
        except BaseException as failure:
            self.failure = failure


def check_files(store):
    """Every file is whole and named by its bytes; there are no others."""
    for path in glob.glob(store + "/*/**", recursive=True, include_hidden=True):
        inner = path[len(store) + 34:]
        if os.path.isdir(path) or inner.startswith("hub/"):
            continue
        found = re.fullmatch("(?:keys/|obj/(..)/|log/[0-9a-f]{16}/"
                             "[0-9a-f]{16}-)([0-9a-f]{64})(?:.key)?", inner)
        assert found, "a foreign file: " + path
        with open(path, "rb") as file:
            name = hashlib.blake2b(file.read(), digest_size=32).hexdigest()
        assert name == found.group(2), "half a file: " + path



def check_catalogue(store):
    for folder in glob.glob(store + "/*/hub"):
        base = sqlite3.connect("file:%s/catalogue.sqlite?mode=ro" % folder,
                               uri=True)
        rows = {bytes(row[0]).hex() for row in base.execute(
            "SELECT substr(key, 2, 32) FROM items")}
        files = {re.search("([0-9a-f]{64})(.key)?$", path).group(1)
                 for path in glob.glob(folder + "/../[klo]*/**",
                                       recursive=True)
                 if os.path.isfile(path)}
        assert rows == files, (len(rows), len(files))


def same(a, b):
    done = subprocess.run([sys.executable, here + "/same_tree.py", a, b],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[:2000]


def phase(name, stores, counts, total):
    clients = []
    for i in range(CLIENTS):
        who = "%s%d" % (name, i)
        client = Client(who, stores[i % len(stores)], counts, total // CLIENTS)
        clients.append(client)
        os.makedirs("%s/%s.kept" % (work, who))
    for i, store in enumerate(stores):
        os.makedirs(store)
        run([qstore, "-r", clients[i].url(), "init", "--no-confirm",
             "--no-recovery"], clients[i].who)
    for client in clients:
        client.start()
    for client in clients:
        client.join()
        if client.failure:
            raise client.failure
    for store in stores:
        check_files(store)
        scrub = run([qstore, "scrub", "--full", store], "keeper")
        assert b"no damage" in scrub.stdout, scrub.stdout
        check_catalogue(store)
        run([qstore, "-r", store, "check", "--read-data"], "keeper")
    for client in clients:
        for snapshot, copy in client.kept:
            shutil.rmtree("back", ignore_errors=True)
            run([qstore, "-r", client.store, "restore", snapshot,
                 "--target", "back"], "keeper")
            same(copy, "back/" + os.path.basename(client.src))


counts = Counts()
# Some kills come too late or too early to hit anything: it goes on until the
# number is reached.
number = 0
while counts.client + counts.hub < kills:
    missing = kills - counts.client - counts.hub
    counts.left = missing
    half = -(-missing // 2)
    if half < CLIENTS:
        half = CLIENTS
    phase("own%d-" % number, ["%s/own%d-%d" % (work, number, i)
                              for i in range(CLIENTS)], counts,
          half + CLIENTS - half % CLIENTS)
    if counts.left > 0:
        phase("one%d-" % number, ["%s/one%d" % (work, number)], counts,
              counts.left + CLIENTS)
    number += 1
print("%d kills (%d clients, %d hubs), %d too late, %d runs, %d acknowledged "
      "and restored" % (counts.client + counts.hub, counts.client, counts.hub,
                        counts.cut, counts.runs, counts.acknowledged))
