#!/usr/bin/env python3
"""Runs servers of the etcd v2 API side by side and prints ratios.

    cargo build --release
    ./compare.py --ours 'PATH/stead -data-dir {data}/d -addr 127.0.0.1:{port} ...' \
        [--peer NAME='COMMAND'] [--no-etcd] [--nodes 3] [--rounds 5] \
        [--work put1,put64,...|all|quick] [--target leader|follower|all] [--json FILE]

Every round starts every server afresh, in turning order, runs the same
workloads on each and stops it again; the answer is the median over the rounds
of ours divided by the peer's, of the same round. Absolute numbers are printed
as context and judged by nothing: a machine's mood moves all of them alike.

A command is a template, run without a shell. In it: {data} {port} {peer}
{name} (m0..) {i}, {port0} {peer0} {port1} ... of every node, {cluster}
(m0=http://127.0.0.1:P0,...), {seeds} (peer addresses of the nodes before this
one), {peers} (of all). A part in [[double brackets]] is left out where
{seeds} is empty. `;;` parts the templates of node 0, node 1, ... (the last
one serves the rest). The peer 'etcd' (etcd on PATH, v2 API on) is always
there unless --no-etcd; the model of the limit is '--peer ceiling=builtin'.
"""
import argparse, json, math, os, re, shlex, shutil, signal, socket, statistics
import subprocess, sys, tempfile, threading, time
import http.client
from pathlib import Path

http_exceptions = (http.client.HTTPException,)
HERE = Path(__file__).resolve().parent

# name: (loadgen arguments, the measure, True where more is better)
WORK = {
    "put1": ("--work put --conns 1", "rate", True),
    "put8": ("--work put --conns 8", "rate", True),
    "put64": ("--work put --conns 64", "rate", True),
    "put256": ("--work put --conns 256", "rate", True),
    "get1": ("--work get --conns 1", "rate", True),
    "get64": ("--work get --conns 64", "rate", True),
    "get256": ("--work get --conns 256", "rate", True),
    "qget1": ("--work qget --conns 1", "rate", True),
    "qget64": ("--work qget --conns 64", "rate", True),
    "qget256": ("--work qget --conns 256", "rate", True),
    "mixed64": ("--work mixed --conns 64", "rate", True),
    "qmixed64": ("--work mixed --conns 64 --quorum-reads", "rate", True),
    "cas8": ("--work cas --conns 8", "rate", True),
    "post64": ("--work post --conns 64 --prefix /post", "rate", True),
    "open2000": ("--work put --conns 64 --rate 2000", "writes.p99_us", False),
    "open500": ("--work put --conns 64 --rate 500", "writes.p99_us", False),
    "watch1": ("--work watch --watchers 1", "delivery.p50_us", False),
    "watch100": ("--work watch --watchers 100", "rate", True),
    "watch1000": ("--work watch --watchers 1000", "rate", True),
    "watch5000": ("--work watch --watchers 5000", "rate", True),
    "stream100": ("--work watch --watchers 100 --stream", "rate", True),
    "stream1000": ("--work watch --watchers 1000 --stream", "rate", True),
    "stream5000": ("--work watch --watchers 5000 --stream", "rate", True),
    "prefix1000": ("--work watch --watchers 1000 --wmode prefix", "rate", True),
    "distinct5000": ("--work watch --watchers 5000 --wmode distinct", "rate", True),
    "list10k": ("--work list --conns 2 --prefix /bench", "rate", True),
    "ttl10k": ("--work ttl --conns 64 --keys 10000 --ttl 15 --prefix /ttl", "rate", True),
    # these have code of their own below
    "fill100k": ("--work fill --conns 64 --keys 100000 --fan 1000 --prefix /fill", "rate", True),
    "rss_per_key": (None, "bytes", False),
    "restart": (None, "ms", False),
    "put_at_100k": ("--work put --conns 16 --keys 100000 --fan 1000 --prefix /fill",
                    "writes.p999_us", False),
    "failover": (None, "median_ms", False),
}
QUICK = ("put1 put64 get1 get64 qget64 mixed64 cas8 post64 open2000 "
         "watch1 watch100 watch1000 stream1000 list10k").split()
NEED_3 = {"failover"}
BUILTIN = {
    "etcd": "etcd --enable-v2=true --logger=zap --log-level=error --name {name} --data-dir {data} "
            "--listen-client-urls http://127.0.0.1:{port} "
            "--advertise-client-urls http://127.0.0.1:{port} "
            "--listen-peer-urls http://127.0.0.1:{peer} "
            "--initial-advertise-peer-urls http://127.0.0.1:{peer} "
            "--initial-cluster {cluster} --initial-cluster-state new",
}


def ceiling(nodes, binary):
    if nodes == 1:
        return f"{binary} --listen 127.0.0.1:{{port}} --log {{data}}/log"
    rest = ",".join("127.0.0.1:{peer%d}" % i for i in range(1, nodes))
    return (f"{binary} --listen 127.0.0.1:{{port}} --log {{data}}/log --followers {rest} ;; "
            f"{binary} --follow 127.0.0.1:{{peer}} --log {{data}}/log")


def ask(port, method, path, body=None, timeout=2.0):
    c = connect(port, timeout)
    try:
        h = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        c.request(method, path, body, h)
        r = c.getresponse()
        return r.status, r.read(), dict(r.getheaders())
    finally:
        c.close()


def connect(port, timeout):
    return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)


def free_base(base, count):
    """The first run of ports from `base` on that nobody holds just now."""
    while True:
        try:
            for p in range(base, base + count):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", p))
            return base
        except OSError:
            base += count


class Cluster:
    def __init__(self, name, template, nodes, base, root):
        self.name, self.nodes, self.base = name, nodes, free_base(base, 2 * nodes)
        self.parts = [p.strip() for p in template.split(";;")]
        self.dir = Path(tempfile.mkdtemp(prefix=f"kvbench-{name}-", dir=root))
        self.procs = [None] * nodes

    def port(self, i):
        return self.base + 2 * i

    def peer(self, i):
        return self.base + 2 * i + 1

    def command(self, i):
        t = self.parts[min(i, len(self.parts) - 1)]
        seeds = ",".join(f"127.0.0.1:{self.peer(j)}" for j in range(i))
        t = re.sub(r"\[\[(.*?)\]\]", r"\1" if seeds else "", t)
        data = self.dir / f"m{i}"
        data.mkdir(exist_ok=True)
        peers = [f"127.0.0.1:{self.peer(j)}" for j in range(self.nodes)]
        v = {"data": str(data), "port": self.port(i), "peer": self.peer(i), "name": f"m{i}", "i": i,
             "seeds": seeds, "peers": ",".join(peers),
             "cluster": ",".join(f"m{j}=http://{peer}" for j, peer in enumerate(peers))}
        for j in range(self.nodes):
            v[f"port{j}"], v[f"peer{j}"] = self.port(j), self.peer(j)
        return shlex.split(t.format(**v))

    def start_node(self, i):
        log = open(self.dir / f"m{i}.log", "ab")
        self.procs[i] = subprocess.Popen(self.command(i), stdout=log, stderr=log,
                                         stdin=subprocess.DEVNULL, start_new_session=True)

    def start(self):
        t = time.monotonic()
        for i in range(self.nodes):
            self.start_node(i)
            if i == 0 and "[[" in " ".join(self.parts):
                self.wait_ready(0, 15)
        self.wait_ready(0, 30)
        if self.nodes > 1:
            self.wait_members(30)
        return time.monotonic() - t

    def wait_ready(self, i, limit):
        """Until the node takes a write, itself or by a redirect."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if self.procs[i].poll() is not None:
                code = self.procs[i].returncode
                raise RuntimeError(f"{self.name}: node {i} ended with {code}; see {self.dir}")
            try:
                st, _, _ = ask(self.port(i), "PUT", "/v2/keys/ready", "value=1", 1.0)
                if st in (200, 201, 307):
                    return
            except OSError:
                pass
            except http_exceptions:
                pass
            time.sleep(0.005)
        raise RuntimeError(f"{self.name}: node {i} was not ready in {limit} s; see {self.dir}")

    def wait_members(self, limit):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            states = [self.state(i) for i in range(self.nodes)]
            if states.count("leader") == 1 and all(s in ("leader", "follower") for s in states):
                return
            if states[0] == "model":
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.name}: members' states are {states}; see {self.dir}")

    def state(self, i):
        if self.procs[i] is None or self.procs[i].poll() is not None:
            return "dead"
        if "--follow" in " ".join(self.parts) and len(self.parts) > 1:
            return "model"
        try:
            st, b, _ = ask(self.port(i), "GET", "/v2/stats/self", timeout=0.5)
            s = json.loads(b).get("state", "").lower()
            return "leader" if "leader" in s else "follower" if "follower" in s else s or "?"
        except (OSError, ValueError, *http_exceptions):
            return "away"

    def leader(self):
        for _ in range(300):
            for i in range(self.nodes):
                if self.state(i) in ("leader", "model"):
                    return i
            time.sleep(0.02)
        return 0

    def url(self, i):
        return f"http://127.0.0.1:{self.port(i)}"

    def urls(self, target):
        if self.nodes == 1:
            return self.url(0)
        lead = self.leader()
        if target == "leader" or self.state(lead) == "model":
            return self.url(lead)
        if target == "follower":
            return self.url((lead + 1) % self.nodes)
        return ",".join(self.url(i) for i in range(self.nodes))

    def rss(self, i=0):
        with open(f"/proc/{self.procs[i].pid}/status") as f:
            for line in f:
                if line.startswith("VmRSS"):
                    return int(line.split()[1]) * 1024
        return 0

    def cpu(self):
        s = 0.0
        for p in self.procs:
            try:
                f = open(f"/proc/{p.pid}/stat").read().rsplit(")", 1)[1].split()
                s += (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")
            except (OSError, AttributeError):
                pass
        return s

    def kill_node(self, i, sig=signal.SIGKILL):
        p = self.procs[i]
        if p and p.poll() is None:
            p.send_signal(sig)
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()

    def stop(self, keep=False):
        for i in range(self.nodes):
            self.kill_node(i)
        if not keep:
            shutil.rmtree(self.dir, ignore_errors=True)


def dig(d, path):
    for p in path.split("."):
        if not isinstance(d, dict) or p not in d:
            return None
        d = d[p]
    return d


def loadgen(opt, url, args, secs=None, limit=170):
    cmd = [opt.loadgen, "--url", url, "--secs", str(secs or opt.secs), "--warm", str(opt.warm)]
    cmd += ["--follow"] + shlex.split(args)
    try:
        r = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=limit)
        return json.loads(r.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return {"error": "no result"}


def failover(opt, cl):
    """kill -9 of the leader under load: the longest time without a success."""
    gaps = []
    for _ in range(opt.kills):
        lead = cl.leader()
        out = {}
        urls = ",".join(cl.url(i) for i in range(cl.nodes))
        t = threading.Thread(target=lambda: out.update(loadgen(
            opt, urls, "--work put --conns 3 --timeout-ms 150", secs=opt.kill_secs)))
        t.start()
        time.sleep(opt.warm + 0.8)
        cl.kill_node(lead)
        t.join()
        if "max_gap_ms" in out:
            gaps.append(out["max_gap_ms"])
        cl.start_node(lead)
        try:
            cl.wait_members(20)
        except RuntimeError as e:
            print("   ", e, file=sys.stderr)
            break
        time.sleep(0.5)
    if not gaps:
        return {"error": "no run"}
    return {"median_ms": statistics.median(gaps), "max_ms": max(gaps), "all_ms": gaps}


def measure(opt, cl, names):
    res = {}
    url = cl.urls(opt.target)
    loaded = False
    for n in names:
        args, _, _ = WORK[n]
        if n in NEED_3 and cl.nodes < 3:
            continue
        if not loaded and n not in NEED_3:
            loadgen(opt, cl.urls("leader"), "--work fill --conns 32 --keys 10000")
            loaded = True
        c0, t0 = cl.cpu(), time.monotonic()
        if n == "failover":
            res[n] = failover(opt, cl)
            url = cl.urls(opt.target)
        elif n == "rss_per_key":
            before = opt.rss0.get(cl.name)
            if before:
                res[n] = {"bytes": (cl.rss(cl.leader()) - before) / 100000}
            else:
                res[n] = {"error": "needs fill100k before it"}
        elif n == "restart":
            cl.kill_node(0)
            t = time.monotonic()
            cl.start_node(0)
            cl.wait_ready(0, 120)
            res[n] = {"ms": (time.monotonic() - t) * 1000}
            time.sleep(0.3)
        else:
            if n == "fill100k":
                opt.rss0[cl.name] = cl.rss(cl.leader())
            res[n] = loadgen(opt, url, args)
            cpu = (cl.cpu() - c0) / (time.monotonic() - t0)
            res[n]["cpu_s_per_s"] = round(cpu, 2)
            if res[n].get("rate"):
                # all members' processor time for one operation: the number that the load
                # generator's share cannot blur
                res[n]["cpu_us_per_op"] = round(cpu / res[n]["rate"] * 1e6, 1)
        if cl.procs[0].poll() is not None:
            res[n]["error"] = "node 0 died"
            break
        time.sleep(0.1)
    return res


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--ours", metavar="COMMAND", help="our server's command template")
    p.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    p.add_argument("--no-etcd", action="store_true")
    p.add_argument("--nodes", type=int, default=1)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--secs", type=float, default=3.0)
    p.add_argument("--warm", type=float, default=0.5)
    p.add_argument("--work", default="quick")
    p.add_argument("--target", default="leader", choices=["leader", "follower", "all"])
    p.add_argument("--kills", type=int, default=5)
    p.add_argument("--kill-secs", type=float, default=6.0)
    p.add_argument("--base-port", type=int, default=23100,
                   help="below the ephemeral range, or clients take the ports")
    p.add_argument("--bin", default=None, help="folder of loadgen and ceiling")
    p.add_argument("--dir", default=None, help="where data directories go (a real disk, not tmpfs)")
    p.add_argument("--json", metavar="FILE")
    p.add_argument("--lock", metavar="FILE", help="flock this file around each server's turn")
    p.add_argument("--cpu", action="store_true",
                   help="print processor time for one operation as well")
    p.add_argument("--keep", action="store_true")
    opt = p.parse_args()
    # a polite end stops the servers as well
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    target = os.environ.get("CARGO_TARGET_DIR", HERE / "target")
    bindir = Path(opt.bin or Path(target) / "release")
    opt.loadgen = str(bindir / "loadgen")
    opt.rss0 = {}
    known = {"quick": QUICK, "all": list(WORK)}
    names = known.get(opt.work) or opt.work.split(",")
    for n in names:
        if n not in WORK:
            p.error(f"unknown workload {n}; known: {' '.join(WORK)}")
    servers = {}
    if opt.ours:
        servers["ours"] = opt.ours
    if not opt.no_etcd:
        servers["etcd"] = BUILTIN["etcd"]
    for s in opt.peer:
        k, _, v = s.partition("=")
        servers[k] = ceiling(opt.nodes, bindir / "ceiling") if v == "builtin" else v
    allres = {k: [] for k in servers}
    order = list(servers)
    for r in range(opt.rounds):
        for k in order[r % len(order):] + order[:r % len(order)]:
            lock = None
            if opt.lock:
                import fcntl
                lock = open(opt.lock, "a")
                fcntl.flock(lock, fcntl.LOCK_EX)
            cl = Cluster(k, servers[k], opt.nodes, opt.base_port + 20 * order.index(k), opt.dir)
            try:
                cl.start()
                res = measure(opt, cl, names)
            except RuntimeError as e:
                print(f"round {r}: {e}", file=sys.stderr)
                res = {}
            finally:
                cl.stop(opt.keep)
                if lock:
                    lock.close()
            allres[k].append(res)
            print(f"round {r + 1}/{opt.rounds} {k}: {len(res)} workloads",
                  file=sys.stderr, flush=True)
            if opt.json:
                asked = {a: b for a, b in vars(opt).items() if a != "rss0"}
                whole = {"opt": asked, "results": allres}
                Path(opt.json).write_text(json.dumps(whole, indent=1, default=str))
    table(names, servers, allres, opt.cpu)


def table(names, servers, allres, show_cpu):
    first = next(iter(servers))
    others = [k for k in servers if k != first]

    def val(k, r, n):
        x = allres[k][r].get(n) if r < len(allres[k]) else None
        return dig(x, WORK[n][1]) if x and "error" not in x else None

    heads = [f"{k:>14}" for k in servers] + [f"{first + '/' + k:>18}" for k in others]
    print(f"\n{'workload':14} {'measure':16}" + "".join(heads))
    for n in names:
        row, ratios = [], []
        for k in servers:
            vs = [v for r in range(len(allres[k])) if (v := val(k, r, n)) is not None]
            row.append(f"{statistics.median(vs):14.1f}" if vs else f"{'-':>14}")
        for k in others:
            rs = []
            for r in range(len(allres[k])):
                a, b = val(first, r, n), val(k, r, n)
                if a and b:
                    rs.append(a / b)
            word = "more" if WORK[n][2] else "less"
            ratios.append(f"{statistics.median(rs):11.2f}x {word}" if rs else f"{'-':>18}")
        print(f"{n:14} {WORK[n][1]:16}" + "".join(row) + "".join(f"{x:>18}" for x in ratios))
    for k in others:
        logs = []
        for n in names:
            rs = [a / b for r in range(len(allres[k]))
                  if (a := val(first, r, n)) and (b := val(k, r, n))]
            if rs:
                m = statistics.median(rs)
                logs.append(math.log(m if WORK[n][2] else 1 / m))
        if logs:
            mean = math.exp(sum(logs) / len(logs))
            print(f"{'all':14} {'geometric mean':16} {first} is {mean:.2f} times as good as {k} "
                  f"({len(logs)} workloads)")
    if show_cpu:
        print("\nprocessor time of all members, microseconds for one operation")
        for n in names:
            row = []
            for k in servers:
                vs = [r[n]["cpu_us_per_op"] for r in allres[k] if "cpu_us_per_op" in r.get(n, {})]
                row.append(f"{statistics.median(vs):14.1f}" if vs else f"{'-':>14}")
            print(f"{n:14} {'':16}" + "".join(row))
    print("\n'more': a ratio above 1 is better for the first server; 'less': below 1 is.")


if __name__ == "__main__":
    main()
