#!/usr/bin/env python3
"""Takes backups at the followers of three machines under full write load, restores each, and holds
each against the history of the writes.

    (cd .. && cargo build --release)
    ./backup_history.py [--backups 100] [--ours COMMAND] [--binary STEAD] [--dir DIR]

Writers write keys of their own, each on a connection of its own, and note what was acknowledged at
which index. Then for each backup: `stead backup verify`, `stead restore`,
a server on what was restored, and all keys read from it. It must hold

  acknowledged  each write that was acknowledged before the backup was asked for, or a later one of
                the same key
  written       nothing that was not sent before the backup was complete, at the index at which it
                was acknowledged
  order         a prefix of each writer's writes: none without all before it
  forward       no less than an earlier backup
"""
import argparse
import contextlib
import json
import multiprocessing
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import compare
from measure import OURS, say

TEMPLATE = OURS + " [[-peers {seeds}]]"


def request(writer, number, keys, size):
    body = f"value={number}.{'x' * size}"
    return (f"PUT /v2/keys/load/{writer}/{number % keys} HTTP/1.1\r\nHost: x\r\nContent-Type: "
            f"application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}")


class Answers:
    """The answers on one connection."""

    def __init__(self, sock):
        self.sock, self.data = sock, b""

    def next(self):
        """The body of the next one; nothing where the connection has ended."""
        while True:
            end = self.data.find(b"\r\n\r\n")
            if end >= 0:
                head = self.data[:end]
                length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
                if len(self.data) >= end + 4 + length:
                    body = self.data[end + 4:end + 4 + length]
                    self.data = self.data[end + 4 + length:]
                    if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
                        raise RuntimeError(f"a write got {head[:80]} {body[:200]}")
                    return body
            more = self.sock.recv(1 << 20)
            if not more:
                return None
            self.data += more


def write(names, ports, opt, is_over, results):
    """Writes on a connection for each name, a request at a time on each, until it is over. Gives
    for each of them when it was sent, when it was acknowledged, and at which index."""
    history = {name: [] for name in names}
    ends = {}
    for name in names:
        sock = socket.create_connection(("127.0.0.1", ports[name % len(ports)]), timeout=60)
        ends[name] = (sock, Answers(sock))
    while not is_over.is_set():
        for name, (sock, _) in ends.items():
            text = request(name, len(history[name]), opt.keys, opt.size).encode()
            history[name].append([time.monotonic(), None, None])
            sock.sendall(text)
        for name, (_, answers) in ends.items():
            body = answers.next()
            if body is None:
                raise RuntimeError("the connection of a writer has ended")
            index = int(re.search(rb'"modifiedIndex":(\d+)', body)[1])
            history[name][-1][1:] = [time.monotonic(), index]
    results.put(history)


def take(opt, cluster, number, port):
    """Takes one backup; gives when it was asked for, when it was there, and its size."""
    file = opt.out / f"{number}.backup"
    began = time.monotonic()
    run(opt, "backup", "--endpoint", f"http://127.0.0.1:{port}", str(file))
    return {"began": began, "ended": time.monotonic(), "file": file, "size": file.stat().st_size}


def run(opt, *words):
    done = subprocess.run([opt.binary, *words], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f"{words}: {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def restored(opt, number, backup):
    """All keys of a backup, from a server on what `stead restore` made of it."""
    data = opt.out / f"restored-{number}"
    run(opt, "backup", "verify", str(backup["file"]))
    run(opt, "restore", str(backup["file"]), "-data-dir", str(data), "-name", "m")
    base = compare.free_base(opt.base_port + 100, 2)
    command = [opt.binary, "-data-dir", str(data), "-name", "m", "-addr", f"127.0.0.1:{base}",
               "-peer-addr", f"127.0.0.1:{base + 1}", "-log-level", "warn"]
    with open(opt.out / f"restored-{number}.log", "ab") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{base}/v2/keys/load?recursive=true"
        return flat(json.loads(fetch(url, server))["node"])
    finally:
        server.terminate()
        server.wait(60)
        subprocess.run(["rm", "-rf", str(data)], check=True)


def fetch(url, server, limit=60.0):
    end = time.monotonic() + limit
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(url, timeout=60) as answer:
                return answer.read()
        time.sleep(0.02)
    raise RuntimeError(f"no answer from a restored server ({server.poll()})")


def flat(node):
    """Values and indexes by writer and key."""
    found = {}
    for writer in node.get("nodes", []):
        for leaf in writer.get("nodes", []):
            _, _, name, key = leaf["key"].split("/")
            number = int(leaf["value"].split(".")[0])
            found[int(name), int(key)] = (number, leaf["modifiedIndex"])
    return found


def judge(opt, backup, found, history, earlier):
    """What is wrong with a backup; `earlier` is the highest number of each writer so far."""
    wrong = [f"written: nobody wrote {writer}/{key}"
             for writer, key in found if writer not in history]
    for writer, ops in history.items():
        held = {key: value for (one, key), value in found.items() if one == writer}
        highest = max((number for number, _ in held.values()), default=-1)
        acked = -1
        for number, (sent, answered, _) in enumerate(ops):
            if sent >= backup["began"]:
                break
            if answered is not None and answered < backup["began"]:
                acked = number
        if highest < acked:
            wrong.append(f"acknowledged: writer {writer} was answered {acked}, held is {highest}")
        if highest < earlier.get(writer, -1):
            wrong.append(f"forward: writer {writer} was at {earlier[writer]}, is at {highest}")
        earlier[writer] = max(highest, earlier.get(writer, -1))
        if highest >= len(ops) or (highest >= 0 and ops[highest][0] > backup["ended"]):
            wrong.append(f"written: writer {writer} had not sent {highest}")
            continue
        want = {number % opt.keys: number
                for number in range(max(0, highest + 1 - opt.keys), highest + 1)}
        for key in want.keys() | held.keys():
            number, index = held.get(key, (None, None))
            if number != want.get(key):
                wrong.append(f"order: writer {writer} key {key}: {number}, not {want.get(key)}")
            elif index != ops[number][2]:
                wrong.append(f"written: writer {writer} key {key}: at index {index}, and was "
                             f"acknowledged at {ops[number][2]}")
    return wrong


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--backups", type=int, default=100)
    p.add_argument("--ours", metavar="COMMAND", default=TEMPLATE)
    p.add_argument("--binary", default=str(compare.HERE.parent / "target/release/stead"),
                   help="the program that takes, checks and restores backups")
    p.add_argument("--writers", type=int, default=64, help="how many connections write")
    p.add_argument("--processes", type=int, default=4, help="how many processes those belong to")
    p.add_argument("--keys", type=int, default=200, help="how many keys each of them writes")
    p.add_argument("--size", type=int, default=100, help="bytes of a value")
    p.add_argument("--base-port", type=int, default=24600)
    p.add_argument("--dir", help="where data directories go (a real disk, not tmpfs)")
    opt = p.parse_args()
    cluster = compare.Cluster("backups", opt.ours, 3, opt.base_port, opt.dir)
    opt.out = Path(cluster.dir)
    is_over, results = multiprocessing.Event(), multiprocessing.Queue()
    try:
        cluster.start()
        ports = [cluster.port(at) for at in range(3)]
        followers = [at for at in range(3) if cluster.state(at) == "follower"]
        writers = [multiprocessing.Process(
            target=write, daemon=True,
            args=(range(part, opt.writers, opt.processes), ports, opt, is_over, results))
            for part in range(opt.processes)]
        began = time.monotonic()
        for writer in writers:
            writer.start()
        # Each key is there once.
        time.sleep(5)
        taken = []
        for number in range(opt.backups):
            taken.append(take(opt, cluster, number, ports[followers[number % 2]]))
        is_over.set()
        history = {}
        for _ in writers:
            history.update(results.get(timeout=120))
        took = time.monotonic() - began
        states = [cluster.state(at) for at in range(3)]
        writes = sum(answered is not None for ops in history.values() for _, answered, _ in ops)
        say(f"{writes} writes acknowledged in {took:.0f} s ({writes / took:.0f} a second), "
            f"{len(taken)} backups at followers meanwhile; states at the end: {states}")
        sizes = [one["size"] for one in taken]
        times = [one["ended"] - one["began"] for one in taken]
        say(f"a backup: {statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f}), "
            f"{min(sizes)} to {max(sizes)} bytes")
        for at in range(3):
            cluster.kill_node(at)
        violations, earlier, began = [], {}, time.monotonic()
        for number, backup in enumerate(taken):
            found = restored(opt, number, backup)
            wrong = judge(opt, backup, found, history, earlier)
            violations += [f"backup {number}: {text}" for text in wrong]
            if not found:
                violations.append(f"backup {number} is empty")
        took = (time.monotonic() - began) / max(1, len(taken))
        say(f"verified, restored, started, read and stopped: {took:.2f} s each")
        for text in violations[:20]:
            say(text)
        say(f"{len(violations)} violations in {len(taken)} backups")
    finally:
        is_over.set()
        cluster.stop()
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
