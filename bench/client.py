#!/usr/bin/env python3
"""Measures what a user of the command line waits for.

    (cd .. && cargo build --release)
    ./client.py ../target/release/stead [--rounds 60] [--keys 100000]

get    `stead get /a` of a local server, from the start of the process to its end
tree   `stead tree` of so many keys, from its start to its first line, in a pipe
dev    `stead dev`, from its start to its URL, which it prints when it serves

Each figure is the median, with the least and the greatest of all rounds.
"""
import argparse
import json
import statistics
import subprocess
import sys
import time
import urllib.request


def median(times):
    ms = sorted(1000 * t for t in times)
    return f"{statistics.median(ms):.1f} ms ({ms[0]:.1f} to {ms[-1]:.1f}, {len(ms)} rounds)"


def first_line(command):
    """Seconds to the first line, and the line."""
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        line = process.stdout.readline()
        took = time.perf_counter() - begun
        process.stdout.close()
        process.terminate()
        process.wait(timeout=30)
    if not line:
        sys.exit(f"{command}: printed nothing")
    return took, line.decode().strip()


def fill(url, count):
    """Keys in directories of a hundred, over one connection."""
    import http.client
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for number in range(count):
        path = f"/v2/keys/tree/d{number // 100:05}/k{number % 100:02}"
        connection.request("PUT", path, "value=1", headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status not in (200, 201):
            sys.exit(f"PUT {path}: {answer.status}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--keys", type=int, default=100_000)
    args = parser.parse_args()
    print("dev: ", median([first_line([args.binary, "dev"])[0] for _ in range(args.rounds)]))
    server = subprocess.Popen([args.binary, "dev"], stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        named = ["--endpoints", url]
        setting = [args.binary, "set", "/a", "1", *named]
        subprocess.run(setting, check=True, stdout=subprocess.DEVNULL)
        times = []
        for _ in range(args.rounds):
            begun = time.perf_counter()
            getting = [args.binary, "get", "/a", *named]
            run = subprocess.run(getting, capture_output=True, check=True)
            times.append(time.perf_counter() - begun)
            if run.stdout != b"1\n":
                sys.exit(f"get printed {run.stdout}")
        print("get: ", median(times))
        fill(url, args.keys)
        stats = json.load(urllib.request.urlopen(f"{url}/v2/stats/store", timeout=30))
        if stats["setsSuccess"] < args.keys:
            sys.exit(f"only {stats['setsSuccess']} keys were written")
        rounds = max(3, args.rounds // 6)
        drawing = [args.binary, "tree", *named]
        print("tree:", median([first_line(drawing)[0] for _ in range(rounds)]))
    finally:
        server.terminate()
        server.wait(timeout=30)


if __name__ == "__main__":
    main()
