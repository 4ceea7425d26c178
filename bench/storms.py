#!/usr/bin/env python3
"""Measures what a crowd of clients does to another client's writes.

    (cd .. && cargo build --release)
    ./storms.py --binary ../target/release/stead [--streams 10000] [--handshakes 2000] [--dir DIR]

idle        nothing else happens
streams     so many clients watch one directory (?wait=true&stream=true), and every second there is
            a write in it that each of them gets
TLS idle    nothing else happens; the client's connection is encrypted
handshakes  so many TLS handshakes, all begun at once

The other client writes a key that nobody watches, on one connection, a hundred times a second. A
latency counts from the moment at which the request was due. The crowd runs on the same machine as
the server and takes part of its processors, so that figures are upper bounds.
"""
import argparse
import contextlib
import multiprocessing
import resource
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RATE = 100
CROWD_PROCESSES = 2
HOST = "127.0.0.1"


def free_port():
    with socket.socket() as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


def client_context():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def make_certificate(folder):
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True)
    return ["-cert-file", str(cert), "-key-file", str(key)]


@contextlib.contextmanager
def server(opt, tls):
    """A fresh server, stopped and swept away at the end; gives its port."""
    with tempfile.TemporaryDirectory(prefix="storms-", dir=opt.dir) as name:
        folder, port, peer = Path(name), free_port(), free_port()
        command = [opt.binary, "-data-dir", str(folder / "data"), "-name", "m0",
                   "-addr", f"{HOST}:{port}", "-peer-addr", f"{HOST}:{peer}"]
        command += make_certificate(folder) if tls else []
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_ready(process, port, tls, folder / "log")
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_ready(process, port, tls, log, limit=15.0):
    end = time.monotonic() + limit
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), connect(port, tls) as s:
            put(s, "/v2/keys/ready")
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server does not answer: {log.read_text()[-1000:]}")


def connect(port, tls):
    s = socket.create_connection((HOST, port), timeout=60)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client_context().wrap_socket(s, server_hostname="localhost") if tls else s


def put(s, path, value="v"):
    body = f"value={value}"
    s.sendall((f"PUT {path} HTTP/1.1\r\nHost: localhost\r\n"
               "Content-Type: application/x-www-form-urlencoded\r\n"
               f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.rstrip().endswith(b"}"):
        part = s.recv(65536)
        if not part:
            raise ConnectionError("the server hung up")
        answer += part
    if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
        raise RuntimeError(f"a write was answered with {answer[:200]}")


def bystander(port, tls, ready, over, out):
    """Writes at a steady rate until it is over; gives its latencies in seconds."""
    took = []
    with connect(port, tls) as s:
        put(s, "/v2/keys/other/key")
        ready.set()
        due = time.monotonic()
        while not over.is_set():
            due += 1 / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            put(s, "/v2/keys/other/key")
            took.append(time.monotonic() - due)
    out.put(took)


class Bystander:
    """The other client, in a process of its own."""

    def __init__(self, port, tls):
        self.over, self.out = multiprocessing.Event(), multiprocessing.Queue()
        ready = multiprocessing.Event()
        args = (port, tls, ready, self.over, self.out)
        self.process = multiprocessing.Process(target=bystander, args=args, daemon=True)
        self.process.start()
        if not ready.wait(60):
            raise RuntimeError("the other client cannot write")

    def finish(self):
        self.over.set()
        took = sorted(self.out.get(timeout=120))
        self.process.join(10)
        return took


def report(name, took, note=""):
    at = lambda share: 1000 * took[min(len(took) - 1, int(len(took) * share))]
    print(f"{name:<12}{len(took):>7}{at(0.5):>10.1f}{at(0.99):>10.1f}{1000 * took[-1]:>10.1f}"
          f"  {note}", flush=True)


def watch(port, count, ready, out):
    """So many streams; gives for each write in turn when the last of them had it."""
    poll, sockets = select.epoll(), {}
    request = b"GET /v2/keys/crowd?wait=true&recursive=true&stream=true HTTP/1.1\r\nHost: x\r\n\r\n"
    for _ in range(count):
        s = socket.create_connection((HOST, port), timeout=60)
        s.sendall(request)
        if not s.recv(4096).startswith(b"HTTP/1.1 200"):
            raise RuntimeError("a stream was refused")
        s.setblocking(False)
        sockets[s.fileno()] = s
        poll.register(s, select.EPOLLIN)
    ready.put(count)
    seen, whole = 0, 0
    while True:
        for number, _ in poll.poll():
            data = sockets[number].recv(65536)
            if not data:
                return
            seen += data.count(b'"action"')
        while seen >= (whole + 1) * count:
            whole += 1
            out.put((whole, time.monotonic()))


def streams(opt, port):
    ready, out = multiprocessing.Queue(), multiprocessing.Queue()
    part = opt.streams // CROWD_PROCESSES
    crowd = [multiprocessing.Process(target=watch, args=(port, part, ready, out), daemon=True)
             for _ in range(CROWD_PROCESSES)]
    for process in crowd:
        process.start()
    try:
        for _ in crowd:
            ready.get(timeout=180)
        other, spread, answered = Bystander(port, False), [], []
        with connect(port, False) as writer:
            for number in range(1, opt.writes + 1):
                began = time.monotonic()
                put(writer, "/v2/keys/crowd/key", str(number))
                answered.append(time.monotonic() - began)
                ends = [out.get(timeout=60) for _ in crowd]
                if any(whole != number for whole, _ in ends):
                    raise RuntimeError(f"write {number}: streams had {ends}")
                spread.append(max(when for _, when in ends) - began)
                time.sleep(max(0.0, began + 1 - time.monotonic()))
        took = other.finish()
    finally:
        for process in crowd:
            process.terminate()
            process.join()
    spread.sort()
    answered.sort()
    middle, longest = 1000 * spread[len(spread) // 2], 1000 * spread[-1]
    note = (f"the last of {part * CROWD_PROCESSES} has a write after {middle:.0f} ms (median), "
            f"{longest:.0f} ms (longest); the write itself is answered after "
            f"{1000 * answered[len(answered) // 2]:.1f} ms, {1000 * answered[-1]:.1f} ms")
    report("streams", took, note)


def shake(port, count, ready, go, out):
    """So many handshakes at once; gives how many were done, and when the last one was."""
    context, poll, waiting, done = client_context(), select.epoll(), {}, []
    ready.put(count)
    go.wait()
    for _ in range(count):
        s = socket.create_connection((HOST, port), timeout=60)
        s.setblocking(False)
        s = context.wrap_socket(s, do_handshake_on_connect=False, server_hostname="localhost")
        waiting[s.fileno()] = s
        poll.register(s, select.EPOLLOUT)
    end = time.monotonic() + 120
    while waiting and time.monotonic() < end:
        for number, _ in poll.poll(1.0):
            s = waiting[number]
            try:
                s.do_handshake()
            except ssl.SSLWantReadError:
                poll.modify(number, select.EPOLLIN)
            except ssl.SSLWantWriteError:
                poll.modify(number, select.EPOLLOUT)
            except OSError:
                poll.unregister(number)
                waiting.pop(number).close()
            else:
                poll.unregister(number)
                done.append(waiting.pop(number))
    out.put((len(done), time.monotonic()))


def handshakes(opt, port):
    ready, out, go = multiprocessing.Queue(), multiprocessing.Queue(), multiprocessing.Event()
    part = opt.handshakes // CROWD_PROCESSES
    crowd = [multiprocessing.Process(target=shake, args=(port, part, ready, go, out), daemon=True)
             for _ in range(CROWD_PROCESSES)]
    for process in crowd:
        process.start()
    try:
        for _ in crowd:
            ready.get(timeout=60)
        other, began = Bystander(port, True), time.monotonic()
        go.set()
        ends = [out.get(timeout=180) for _ in crowd]
        took = other.finish()
    finally:
        for process in crowd:
            process.terminate()
            process.join()
    done, last = sum(count for count, _ in ends), max(when for _, when in ends) - began
    report("handshakes", took, f"{done} of {part * CROWD_PROCESSES} done in {last:.1f} s")


def idle(opt, port, tls):
    other = Bystander(port, tls)
    time.sleep(opt.secs)
    report("TLS idle" if tls else "idle", other.finish())


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", required=True, metavar="PATH")
    p.add_argument("--streams", type=int, default=10_000)
    p.add_argument("--writes", type=int, default=15, help="how many writes the streams get")
    p.add_argument("--handshakes", type=int, default=2000)
    p.add_argument("--secs", type=float, default=10.0, help="how long nothing else happens")
    p.add_argument("--dir", help="where data directories go (a real disk, not tmpfs)")
    opt = p.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{'':<12}{'PUTs':>7}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}", flush=True)
    try:
        with server(opt, tls=False) as port:
            idle(opt, port, False)
            streams(opt, port)
        with server(opt, tls=True) as port:
            idle(opt, port, True)
            handshakes(opt, port)
    except (RuntimeError, OSError) as error:
        sys.exit(f"storms: {error}")


if __name__ == "__main__":
    main()
