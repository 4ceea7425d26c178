"""Machines of Stead and a Prometheus that scrapes them, for alerts.py."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

RULES = Path(__file__).parent.parent / "prometheus" / "stead.rules.yml"

# How long something may take that takes a moment, on a machine that does much else: 60 s.
PATIENCE = 60

# What the rules wait for and look back on, as it is and as it is here: a test has no hours.
SPANS = [
    (r"\bfor: \w+", "for: 2s"),
    (r"\[5m\]", "[10s]"),
    (r"\[15m\]", "[40s]"),
    (r"\[1h\]", "[30s]"),
    (r"> 5000", "> 50"),
]

FAKETIME = [
    Path(f"/usr/lib/{folder}faketime/libfaketimeMT.so.1")
    for folder in ("x86_64-linux-gnu/", "aarch64-linux-gnu/", "")
]


class Failed(Exception):
    """Something is not as it should be."""


def until(what, is_so, patience=PATIENCE):
    """Waits for a condition. Gives what it gave."""
    end = time.monotonic() + patience
    while True:
        result = is_so()
        if result:
            return result
        if time.monotonic() > end:
            raise Failed(f"not within {patience} s: {what}")
        time.sleep(0.1)


def free_port(taken=set()):
    """A port that nobody has, below those that the system gives to clients."""
    first = 20_000 + os.getpid() % 9_000
    for port in range(first, first + 3_000):
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        taken.add(port)
        return port
    raise Failed("no free port")


def ask(url, data=None, method="GET", timeout=20):
    """The status and the body of an answer; nothing and the reason if there was none."""
    request = urllib.request.Request(url, data=data and data.encode(), method=method)
    # Certificates are made here, and not what is tested.
    trust = ssl._create_unverified_context() if url.startswith("https") else None
    try:
        with urllib.request.urlopen(request, timeout=timeout, context=trust) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return None, str(error)


def run(*command):
    """Runs a program to its end. Gives its exit code and what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    return done.returncode, done.stdout + done.stderr


class Process:
    """A process that is ended with the test."""

    def __init__(self, folder, name, command, **options):
        self.name = name
        self.log = folder / f"{name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **options,
            )

    def pause(self):
        """It stands still, as on a machine that is suspended or starved."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        """It runs again."""
        self.process.send_signal(signal.SIGCONT)

    def stutter(self, seconds, stands, runs):
        """For a while it stands still for `stands` seconds, runs for `runs`, and again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.pause()
            time.sleep(stands)
            self.go_on()
            time.sleep(runs)

    def end(self):
        """Ends it."""
        if self.process.poll() is None:
            self.go_on()
            self.process.kill()
        self.process.wait()


class Machine(Process):
    """A machine of Stead."""

    def __init__(self, lab, name, *flags, before=(), scheme="http", dir=None, **options):
        self.port, self.peer_port = free_port(), free_port()
        self.dir = dir or lab.folder / name
        self.scheme = scheme
        self.command = [*before, lab.stead, "-name", name, "-data-dir", self.dir]
        self.command += ["-addr", f"127.0.0.1:{self.port}"]
        self.command += ["-peer-addr", f"127.0.0.1:{self.peer_port}", *flags]
        self.folder = lab.folder
        super().__init__(self.folder, name, self.command, **options)

    def restart(self, **options):
        """Ends it and starts it again on the same data."""
        self.end()
        super().__init__(self.folder, self.name, self.command, **options)

    @property
    def target(self):
        """Its name in Prometheus."""
        return f"127.0.0.1:{self.port}"

    def url(self, path):
        """Where something of it is."""
        return f"{self.scheme}://{self.target}{path}"

    def put(self, key, value="x"):
        """Writes a key; gives the status."""
        return ask(self.url(f"/v2/keys/{key}"), f"value={value}", "PUT")[0]

    def page(self):
        """Its metrics; empty if it does not answer."""
        status, text = ask(self.url("/metrics"), timeout=2)
        return text if status == 200 else ""

    def metric(self, sample):
        """The value of a sample; nothing if it is not there."""
        found = re.search(rf"^{re.escape(sample)} (\S+)$", self.page(), re.MULTILINE)
        return float(found.group(1)) if found else None

    def is_serving(self):
        """Whether it answers clients."""
        if self.process.poll() is not None:
            raise Failed(f"{self.name} has ended")
        return ask(self.url("/readyz"), timeout=2)[0] == 200


class Lab:
    """The folder, the machines and the Prometheus of a test."""

    def __init__(self, stead):
        self.stead = stead
        self.folder = Path(tempfile.mkdtemp(prefix="stead-alerts-", dir="/var/tmp"))
        self.machines = []
        self.prometheus = None

    def start(self, name, *flags, **options):
        """Starts a machine."""
        machine = Machine(self, name, *flags, **options)
        self.machines.append(machine)
        return machine

    def scrape(self, jobs):
        """Starts a Prometheus that scrapes the machines of these jobs."""
        rules = RULES.read_text()
        for there, here in SPANS:
            rules, count = re.subn(there, here, rules)
            if count == 0:
                raise Failed(f"no rule has {there}")
        (self.folder / "rules.yml").write_text(rules)
        scrapes = [
            {
                "job_name": job,
                "scheme": machines[0].scheme,
                "tls_config": {"insecure_skip_verify": True},
                "static_configs": [{"targets": [one.target for one in machines]}],
            }
            for job, machines in jobs.items()
        ]
        every = {"scrape_interval": "1s", "scrape_timeout": "900ms", "evaluation_interval": "1s"}
        config = {"global": every, "rule_files": ["rules.yml"], "scrape_configs": scrapes}
        # JSON is YAML.
        (self.folder / "prometheus.yml").write_text(json.dumps(config))
        port = free_port()
        self.at = f"http://127.0.0.1:{port}"
        command = ["prometheus", f"--config.file={self.folder}/prometheus.yml"]
        command += [f"--storage.tsdb.path={self.folder}/data"]
        command += [f"--web.listen-address=127.0.0.1:{port}"]
        self.prometheus = Process(self.folder, "prometheus", command)
        until("Prometheus is ready", lambda: ask(f"{self.at}/-/ready", timeout=2)[0] == 200)

    def query(self, expression):
        """The samples of an expression now: their labels and values."""
        words = urllib.parse.urlencode({"query": expression})
        status, body = ask(f"{self.at}/api/v1/query?{words}")
        if status != 200:
            raise Failed(f"{expression}: {body}")
        result = json.loads(body)["data"]["result"]
        return [(one["metric"], float(one["value"][1])) for one in result]

    def clear(self):
        """Ends everything and removes the folder."""
        for process in [self.prometheus, *self.machines]:
            if process:
                process.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def tell_logs(self):
        """Prints the ends of all logs."""
        for log in sorted(self.folder.glob("*.log")):
            print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-8:], sep="\n")
