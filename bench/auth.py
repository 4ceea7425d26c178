#!/usr/bin/env python3
"""What users cost, and what a flood of wrong passwords does to others.

  auth.py BINARY LOADGEN [--rounds N] [--secs N] [--dir DIR] [--only cost|flood]

Two servers of the same binary run side by side, one open and one with 64 users. They are loaded
by turns, with 64 connections of one user each at the second: the processor time of an operation
is compared within each round. Then 100 connections send 10,000 wrong passwords a second, each of
them another one, while a client with a known password reads at a fixed rate: its latency with and
without the flood, by turns, and the server's memory before and after.
"""

import argparse
import base64
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request

PORTS = (24501, 24502)


def request(port, method, path, body=None, user=None):
    headers = {"Content-Type": "application/json"}
    if user:
        headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
    data = json.dumps(body).encode() if body is not None else b"" if method != "GET" else None
    url = f"http://127.0.0.1:{port}{path}"
    made = urllib.request.Request(url, data=data, method=method, headers=headers)
    return urllib.request.urlopen(made, timeout=30).read()


def start(binary, directory, name, port):
    log = open(os.path.join(directory, name + ".log"), "w")
    flags = ["-name", name, "-data-dir", os.path.join(directory, name)]
    flags += ["-addr", f"127.0.0.1:{port}", "-peer-addr", f"127.0.0.1:{port + 1000}"]
    server = subprocess.Popen([binary, *flags], stderr=log)
    for _ in range(100):
        try:
            request(port, "GET", "/health")
            return server
        except OSError:
            time.sleep(0.1)
    server.kill()
    raise SystemExit(f"{name} does not start")


def processor(server):
    """Seconds of processor time so far."""
    words = open(f"/proc/{server.pid}/stat").read().rsplit(") ", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def resident(server):
    """Megabytes in memory."""
    for line in open(f"/proc/{server.pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("no VmRSS")


def command(args, port, work, conns, secs, more=()):
    words = [args.loadgen, "--url", f"http://127.0.0.1:{port}", "--work", work]
    words += ["--conns", str(conns), "--secs", str(secs), "--warm", "0", "--keys", "1000"]
    return words + list(more)


def load(args, port, work, conns, secs, more=()):
    words = command(args, port, work, conns, secs, more)
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def set_up(args):
    for port in PORTS:
        load(args, port, "fill", 16, 1)
    port = PORTS[1]
    request(port, "PUT", "/v2/auth/users/root", {"user": "root", "password": "r"})
    kv = {"read": ["/bench/*"], "write": ["/bench/*"]}
    request(port, "PUT", "/v2/auth/roles/b", {"role": "b", "permissions": {"kv": kv}})
    for number in range(64):
        user = {"user": f"u{number}", "password": f"p{number}", "roles": ["b"]}
        request(port, "PUT", f"/v2/auth/users/u{number}", user)
    request(port, "PUT", "/v2/auth/enable")
    for number in range(64):
        request(port, "GET", "/v2/keys/bench/k0000001", user=f"u{number}:p{number}")


def cost(args, servers):
    for work in ("get", "put"):
        rows = []
        for number in range(args.rounds):
            row = {}
            order = (0, 1) if number % 2 == 0 else (1, 0)
            for which in order:
                more = ["--user", "u{}:p{}"] if which else []
                before = processor(servers[which])
                seen = load(args, PORTS[which], work, 64, args.secs, more)
                if seen["errors"]:
                    raise SystemExit(f"errors: {seen}")
                row[which] = (processor(servers[which]) - before) / seen["ok"] * 1e6, seen["rate"]
            rows.append((row[1][0] / row[0][0], row[1][1] / row[0][1], row[0][0], row[1][0]))
        ratio, rate, opened, users = (statistics.median(column) for column in zip(*rows))
        spread = f"{min(row[0] for row in rows):.2f} to {max(row[0] for row in rows):.2f}"
        print(f"{work}64: processor time {opened:.2f} us open, {users:.2f} us with users; "
              f"ratio {ratio:.3f} ({spread}), rate {rate:.3f}", flush=True)


def flood(args, server):
    quiet, loaded, before = [], [], resident(server)
    reader = ["--user", "u1:p1", "--rate", "500"]
    guesses = ["--user", "u{}:wrong{n}", "--rate", "10000"]
    for _ in range(args.rounds):
        quiet.append(load(args, PORTS[1], "get", 1, args.secs, reader))
        words = command(args, PORTS[1], "get", 100, args.secs + 2, guesses)
        guessing = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        loaded.append(load(args, PORTS[1], "get", 1, args.secs, reader))
        seen = json.loads(guessing.communicate()[0].strip().splitlines()[-1])
        if seen["ok"]:
            raise SystemExit(f"a wrong password was let in: {seen}")
    rate = seen["errors"] / seen["secs"]
    for name, rows in (("quiet", quiet), ("flood", loaded)):
        wrong = sum(row["errors"] for row in rows)
        p99 = ", ".join(f"{row['reads']['p99_us'] / 1000:.2f}" for row in rows)
        print(f"{name}: p99 of the reader {p99} ms, errors {wrong}", flush=True)
    print(f"guesses: {rate:.0f} a second, {seen['status']}; "
          f"memory {before:.1f} to {resident(server):.1f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("loadgen")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--secs", type=int, default=3)
    parser.add_argument("--dir", default=None)
    parser.add_argument("--only", choices=("cost", "flood"))
    args = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="auth-", dir=args.dir)
    servers = []
    try:
        for name, port in zip(("open", "users"), PORTS):
            servers.append(start(args.binary, directory, name, port))
        set_up(args)
        if args.only != "flood":
            cost(args, servers)
        if args.only != "cost":
            flood(args, servers[1])
    finally:
        for server in servers:
            server.terminate()
            server.wait()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
