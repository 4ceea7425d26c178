#!/usr/bin/env python3
"""Measures what compare.py does not: memory, restarts, stalls, growth, the cost of HTTP.

    cargo build --release && (cd .. && cargo build --release)
    ./measure.py memory|restart|stalls|backups|growth|http [--ours COMMAND] [--rounds 3] [--dir DIR]

memory   resident bytes for each key at 100,000 and 1,000,000 keys of 64 bytes, in directories of
         1,000, with everything that the server keeps beside them (the window of past events, the
         log's buffers), and for each of 10,000 long polls that wait
restart  kill -9 with 1,000,000 keys: time until the first write is answered, beside etcd's
stalls   longest time without an answered write while snapshots of 1,000,000 keys run, and without
         snapshots
backups  longest time without an answered write while backups of 1,000,000 keys are taken one
         after the other, and without any
growth   processor time of a PUT with 1,000, 100,000 and 1,000,000 keys (the share of snapshots in
         it, and without), of an in-order POST into a directory with few and with 1,000,000
         children, of a PUT with 0 and with 5,000 watchers of other keys
http     processor time of requests that cost the server nothing but HTTP and the key space,
         beside a server on hyper that gives the same answers from constants (src/bin/hyperd.rs)

COMMAND is a template as for compare.py. `--dir` must lie on a real disk.
"""
import argparse
import contextlib
import re
import resource
import socket
import statistics
import sys
import threading
import time
import urllib.request
from pathlib import Path

import compare

HERE = Path(__file__).resolve().parent
OURS = (f"{HERE.parent}/target/release/stead -data-dir {{data}}/d -name {{name}} "
        "-addr 127.0.0.1:{port} -peer-addr 127.0.0.1:{peer}")
FILL = "--work fill --conns 64 --keys {keys} --fan {fan} --prefix /fill"
PUT = "--work put --conns 64 --keys {keys} --fan {fan} --prefix /fill"


@contextlib.contextmanager
def server(opt, name, template):
    """A fresh server, stopped and swept away at the end."""
    base = opt.base_port + 20 * opt.started
    opt.started += 1
    cluster = compare.Cluster(name, template, 1, base, opt.dir)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def run(opt, cluster, work, secs=1.0):
    """A run of the load generator, without errors but those that its form asks for."""
    result = compare.loadgen(opt, cluster.url(0), work, secs, limit=900)
    if "error" in result or (result.get("errors") and "--form" not in work):
        raise RuntimeError(f"{work}: {result}")
    return result


def requests(result):
    return sum(result["status"].values())


def fill(opt, cluster, keys):
    run(opt, cluster, FILL.format(keys=keys, fan=max(1, keys // 1000)))


def put(keys):
    return PUT.format(keys=keys, fan=max(1, keys // 1000))


def cpu(cluster):
    """Seconds that all threads of the server have run, by the scheduler's own clock."""
    total = 0
    for path in Path(f"/proc/{cluster.procs[0].pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            total += int(path.read_text().split()[0])
    return total / 1e9


def cost(opt, cluster, work, secs=2.0):
    """Microseconds of the server's processor time for one request."""
    before = cpu(cluster)
    result = run(opt, cluster, work, secs)
    return (cpu(cluster) - before) * 1e6 / requests(result)


def wait_idle(cluster, limit=60.0):
    """Until the server works on nothing any more: snapshots and fills of segments have ended."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        before = cpu(cluster)
        time.sleep(0.5)
        if cpu(cluster) - before < 0.005:
            return
    raise RuntimeError(f"the server was still busy after {limit:.0f} s")


def settled_rss(cluster, limit=60.0):
    """Resident bytes once they have stood still for two seconds: snapshots have ended by then."""
    end = time.monotonic() + limit
    last, since = cluster.rss(), time.monotonic()
    while time.monotonic() < end and time.monotonic() - since < 2.0:
        time.sleep(0.2)
        now = cluster.rss()
        if abs(now - last) > 64 << 10:
            last, since = now, time.monotonic()
    return last


@contextlib.contextmanager
def watchers(cluster, count):
    """So many long polls, each on a key of its own that nobody writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 1000)), hard))
    sockets = []
    try:
        for number in range(count):
            s = socket.create_connection(("127.0.0.1", cluster.port(0)))
            s.sendall(b"GET /v2/keys/elsewhere/%d?wait=true HTTP/1.1\r\nHost: x\r\n\r\n" % number)
            sockets.append(s)
        for s in sockets:
            head = s.recv(4096)
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"a watch was answered with {head[:200]}")
        yield
    finally:
        for s in sockets:
            s.close()


def say(*words):
    print(*words, flush=True)


def median(values):
    return statistics.median(values)


def spread(values, digits=1):
    return (f"{median(values):.{digits}f} "
            f"({min(values):.{digits}f} to {max(values):.{digits}f})")


def memory(opt):
    for keys in opt.keys or (100_000, 1_000_000):
        with server(opt, "ours", opt.ours) as cluster:
            before = settled_rss(cluster)
            fill(opt, cluster, keys)
            grown = settled_rss(cluster) - before
            say(f"{keys} keys: {grown / keys:.0f} bytes for each ({grown >> 20} MiB)")
    with server(opt, "ours", opt.ours) as cluster:
        before = settled_rss(cluster)
        with watchers(cluster, 10_000):
            grown = settled_rss(cluster) - before
        say(f"10000 idle long polls: {grown / 10_000:.0f} bytes for each")


def restart(opt):
    keys = (opt.keys or [1_000_000])[0]
    with server(opt, "ours", opt.ours) as ours, server(opt, "etcd", opt.etcd) as etcd:
        took = {"ours": [], "etcd": []}
        both = {"ours": ours, "etcd": etcd}
        for name, cluster in both.items():
            began = time.monotonic()
            fill(opt, cluster, keys)
            say(f"{name}: {keys} keys in {time.monotonic() - began:.0f} s")
        for _ in range(opt.rounds):
            for name, cluster in both.items():
                cluster.kill_node(0)
                began = time.monotonic()
                cluster.start_node(0)
                cluster.wait_ready(0, 300)
                took[name].append(time.monotonic() - began)
        for name, times in took.items():
            say(f"{name}: {spread(times, 2)} s to the first answered write")
        say(f"ratio: {median([a / b for a, b in zip(took['ours'], took['etcd'])]):.3f}")


def snapshots(cluster):
    status, body, _ = compare.ask(cluster.port(0), "GET", "/metrics")
    found = re.search(rb"^etcd_snapshot_save_total_durations_seconds_count (\d+)", body, re.M)
    return int(found[1]) if status == 200 and found else 0


def stalls(opt):
    keys = (opt.keys or [1_000_000])[0]
    # Values of 1 kB, so that the log soon holds enough for the next snapshot.
    work = put(keys).replace("--conns 64", "--conns 16") + " --size 1024"
    with server(opt, "ours", opt.ours) as on, \
            server(opt, "ours", opt.ours + " -snapshot=false") as off:
        fill(opt, on, keys)
        fill(opt, off, keys)
        gaps = {"with": [], "without": []}
        for _ in range(opt.rounds):
            for name, cluster in (("with", on), ("without", off)):
                before = snapshots(cluster)
                result = run(opt, cluster, work, 8.0)
                gaps[name].append(result["max_gap_ms"])
                say(f"{name} snapshots: longest stall {result['max_gap_ms']:.1f} ms, p999 "
                    f"{result['writes']['p999_us'] / 1000:.1f} ms, {result['rate']:.0f} writes/s, "
                    f"{snapshots(cluster) - before} snapshots ended meanwhile")
        say(f"longest stall: with {spread(gaps['with'])} ms, without {spread(gaps['without'])} ms")


def backups(opt):
    keys = (opt.keys or [1_000_000])[0]
    work = put(keys).replace("--conns 64", "--conns 16")
    with server(opt, "ours", opt.ours + " -snapshot=false") as cluster:
        fill(opt, cluster, keys)
        gaps = {"with": [], "without": []}
        for _ in range(opt.rounds):
            for name in ("with", "without"):
                with taking(cluster, name == "with") as taken:
                    result = run(opt, cluster, work, 8.0)
                gaps[name].append(result["max_gap_ms"])
                say(f"{name} backups: longest stall {result['max_gap_ms']:.1f} ms, p999 "
                    f"{result['writes']['p999_us'] / 1000:.1f} ms, {result['rate']:.0f} writes/s, "
                    f"{len(taken)} backups of {max(taken, default=0)} bytes")
        say(f"longest stall: with {spread(gaps['with'])} ms, without {spread(gaps['without'])} ms")


@contextlib.contextmanager
def taking(cluster, is_wanted):
    """Takes backups without pause; gives the sizes of those that are complete."""
    taken, is_over = [], threading.Event()

    def take():
        while not is_over.is_set():
            with urllib.request.urlopen(f"{cluster.url(0)}/v2/admin/backup", timeout=60) as answer:
                size = 0
                while chunk := answer.read(1 << 20):
                    size += len(chunk)
            taken.append(size)

    thread = threading.Thread(target=take)
    if is_wanted:
        thread.start()
    try:
        yield taken
    finally:
        is_over.set()
        if is_wanted:
            thread.join(60)


def growth(opt):
    seen = {}
    for _ in range(opt.rounds):
        for keys in opt.keys or (1_000, 100_000, 1_000_000):
            # With snapshots the figure has the share of the next one in it.
            for flags, note in (("", ""), (" -snapshot=false", ", no snapshots")):
                with server(opt, "ours", opt.ours + flags) as cluster:
                    fill(opt, cluster, keys)
                    wait_idle(cluster)
                    took = cost(opt, cluster, put(keys))
                seen.setdefault(f"PUT with {keys} keys{note}", []).append(took)
    for name, took in seen.items():
        say(f"{name}: {spread(took)} us")
    with server(opt, "ours", opt.ours) as cluster:
        post = "--work post --conns 64 --prefix /few{}"
        few = [cost(opt, cluster, post.format(number), 0.1) for number in range(5 * opt.rounds)]
        say(f"POST into a directory with at most some thousand children: {spread(few)} us")
        children = 0
        while children < 1_000_000:
            result = run(opt, cluster, "--work post --conns 64 --prefix /many", 5.0)
            children += requests(result)
        wait_idle(cluster)
        many = [cost(opt, cluster, "--work post --conns 64 --prefix /many")
                for _ in range(opt.rounds)]
        say(f"POST into a directory with {children} children and more: {spread(many)} us")
    with server(opt, "ours", opt.ours) as cluster:
        fill(opt, cluster, 10_000)
        alone, watched = [], []
        for _ in range(opt.rounds):
            alone.append(cost(opt, cluster, put(10_000)))
            with watchers(cluster, 5_000):
                watched.append(cost(opt, cluster, put(10_000)))
        say(f"PUT with nobody watching: {spread(alone)} us")
        say(f"PUT with 5000 watchers elsewhere: {spread(watched)} us")


def http(opt):
    hyperd = f"{opt.bin}/hyperd --listen 127.0.0.1:{{port}}"
    works = {
        "GET": "--work get --conns 64",
        "PUT that is refused": "--work put --conns 64 --form &ttl=x",
    }
    seen = {}
    with server(opt, "ours", opt.ours) as ours:
        run(opt, ours, "--work fill --conns 64")
        base = opt.base_port + 20 * opt.started
        other = compare.Cluster("hyperd", hyperd, 1, base, opt.dir)
        try:
            other.start_node(0)
            wait_port(other.port(0))
            for _ in range(opt.rounds):
                for work, args in works.items():
                    for name, cluster in (("ours", ours), ("hyper", other)):
                        seen.setdefault((work, name), []).append(cost(opt, cluster, args))
        finally:
            other.stop()
    for (work, name), took in seen.items():
        say(f"{work}, {name}: {spread(took)} us")


def wait_port(port, limit=5.0):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.01)
    raise RuntimeError(f"nobody listens on port {port}")


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = {task.__name__: task for task in (memory, restart, stalls, backups, growth, http)}
    p.add_argument("task", choices=tasks)
    p.add_argument("--ours", metavar="COMMAND", default=OURS)
    p.add_argument("--etcd", metavar="COMMAND", default=compare.BUILTIN["etcd"])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--keys", type=lambda text: [int(part) for part in text.split(",")],
                   help="other numbers of keys")
    p.add_argument("--base-port", type=int, default=24100)
    p.add_argument("--dir", help="where data directories go (a real disk, not tmpfs)")
    p.add_argument("--bin", default=f"{HERE}/target/release", help="folder of loadgen and hyperd")
    opt = p.parse_args()
    opt.loadgen, opt.warm, opt.secs, opt.started = f"{opt.bin}/loadgen", 0.0, 1.0, 0
    try:
        tasks[opt.task](opt)
    except RuntimeError as error:
        sys.exit(f"measure: {error}")


if __name__ == "__main__":
    main()
