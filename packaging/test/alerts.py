"""Scrapes machines of Stead with Debian's Prometheus and makes one fault after the other: each
alert of packaging/prometheus/stead.rules.yml is silent before its fault and fires after it, and
each query of the dashboard has data. What cannot be made here in seconds is tested by
`promtool test rules` alone (ONLY_PROMTOOL).

usage: alerts.py PATH-TO-STEAD
"""

import json
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.client import HTTPConnection

from lab import FAKETIME, RULES, Failed, Lab, ask, run, until

DIR = RULES.parent
GUIDE = DIR.parent.parent / "docs" / "guides" / "monitoring.md"

# Two states of one log entry, a snapshot that cannot be written to a disk on which writes are
# refused before, and two versions.
ONLY_PROMTOOL = {"SteadMembersDiffer", "SteadSnapshotFailing", "SteadVersionsDiffer"}

# What promtool has against names that etcd gave.
LINT = {
    "etcd_server_health_failures counter metrics should have \"_total\" suffix",
    "etcd_server_health_success counter metrics should have \"_total\" suffix",
    "etcd_server_pending_proposal_total non-counter metrics should not have \"_total\" suffix",
    "etcd_server_file_descriptors_used_total non-counter metrics should not have \"_total\" suffix",
}


def say(text):
    """Tells how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def check_files():
    """The rules, their tests and the example."""
    for words in (
        ("check", "rules", DIR / "stead.rules.yml"),
        ("test", "rules", DIR / "stead.rules.test.yml"),
        ("check", "config", DIR / "prometheus.yml"),
    ):
        code, said = run("promtool", *map(str, words))
        if code != 0:
            raise Failed(said)
    say("ok: promtool accepts the rules, their tests and the example")
    explained = re.findall(r"^\| `(Stead\w+)` \|", GUIDE.read_text(), re.MULTILINE)
    tested = re.findall(r"- name: (\w+)", (DIR / "stead.rules.test.yml").read_text())
    for what, names in (("explained in the guide", explained), ("tested by promtool", tested)):
        if set(names) != rule_names():
            raise Failed(f"not {what}, or not there: {set(names) ^ rule_names()}")
    say("ok: each alert is explained in the guide, and has a test")


def check_page(machine):
    """promtool has nothing against a page but known names."""
    page = machine.page()
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, timeout=60
    )
    lint = {line for line in (done.stdout + done.stderr).splitlines() if line}
    if not page or lint - LINT:
        raise Failed(f"promtool check metrics at {machine.name}: {lint - LINT or 'no page'}")
    say(f"ok: promtool accepts the page of {machine.name}, {len(page.splitlines())} lines")


def rule_names():
    """All alerts."""
    return set(re.findall(r"- alert: (\w+)", (DIR / "stead.rules.yml").read_text()))


class Alerts:
    """Which alerts were seen to fire after their fault and not before."""

    def __init__(self, lab):
        self.lab = lab
        self.seen = set()

    def ever(self, name, target=None):
        """Whether an alert was pending or firing since Prometheus started."""
        about = f', instance="{target}"' if target else ""
        return self.lab.query(f'count_over_time(ALERTS{{alertname="{name}"{about}}}[1h])')

    def is_firing(self, name, target=None):
        """Whether it fires now."""
        about = f', instance="{target}"' if target else ""
        return self.lab.query(f'ALERTS{{alertname="{name}", alertstate="firing"{about}}}')

    @contextmanager
    def fire(self, *wanted):
        """What is done in it is a fault that makes these alerts fire: pairs of a name and a
        machine, or nothing where the alert is about a job."""
        pairs = [(name, machine and machine.target) for name, machine in wanted]
        for name, target in pairs:
            if self.ever(name, target):
                raise Failed(f"{name} of {target} fired before its fault")
        yield
        for name, target in pairs:
            until(f"{name} fires for {target}", lambda: self.is_firing(name, target))
            self.seen.add(name)
            say(f"ok: {name} fires, and did not before")


def check_dashboard(lab):
    """The dashboard is what Grafana reads, and each of its queries has data."""
    board = json.loads((DIR / "grafana-dashboard.json").read_text())
    names = {one["name"] for one in board["templating"]["list"]}
    ids = [panel["id"] for panel in board["panels"]]
    if names != {"datasource", "job", "instance"} or len(set(ids)) != len(ids):
        raise Failed(f"variables {names}, panels {ids}")
    places = set()
    queries = 0
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}
        if places & cells or at["x"] + at["w"] > 24:
            raise Failed(f"the panel {panel['title']} lies over another one, or does not fit")
        places |= cells
        if panel["type"] == "row":
            continue
        refs = [target["refId"] for target in panel["targets"]]
        if not panel["description"] or not refs or len(set(refs)) != len(refs):
            raise Failed(f"the panel {panel['title']} is not complete")
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "20s")
            expression = expression.replace("$job", "stead.*").replace("$instance", ".*")
            until(f"{panel['title']} has data: {expression}", lambda: lab.query(expression), 20)
            queries += 1
    say(f"ok: each of {queries} queries of {len(ids)} panels and rows has data")


def check_latencies(alone):
    """What a single machine says of its writes is what a client sees, and not zero."""
    count = 50
    name = "etcd_http_successful_duration_seconds_%s{method=\"PUT\"}"
    before = [alone.metric(name % part) or 0 for part in ("sum", "count")]
    began = time.monotonic()
    for _ in range(count):
        alone.put("latency")
    took = time.monotonic() - began
    told, writes = (alone.metric(name % part) - was
                    for part, was in zip(("sum", "count"), before))
    # Each waits for a sync, of which none takes less than 10 us.
    if writes != count or not count * 1e-5 < told < took:
        raise Failed(f"{writes} writes took {told} s, and {took} s at the client")
    say(f"ok: {count} writes took {told:.3f} s by the metrics, {took:.3f} s at the client")


def certificate(lab, days):
    """Writes a certificate that ends after so many days, to where the machine looks for it."""
    code, said = run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", str(days),
        "-keyout", f"{lab.folder}/key.new", "-out", f"{lab.folder}/cert.new",
    )
    if code != 0:
        raise Failed(said)
    for what in ("key", "cert"):
        (lab.folder / f"{what}.new").rename(lab.folder / f"{what}.pem")


def start_all(lab):
    """Three members and a standby, and three machines that are alone in their clusters."""
    timing = ["-peer-heartbeat-interval", "50", "-peer-election-timeout", "600"]
    first = lab.start("m1", *timing, "-cluster-active-size", "3")
    until("m1 serves", first.is_serving)
    peers = ["-peers", f"127.0.0.1:{first.peer_port}"]
    others = []
    for name in ("m2", "m3", "m4"):
        others.append(lab.start(name, *timing, *peers))
        until(f"{name} serves", others[-1].is_serving)
    for member in [first, *others[:2]]:
        until(f"{member.name} votes", lambda: member.metric("stead_raft_is_voter") == 1)
    certificate(lab, 365)
    (lab.folder / "backups").mkdir()
    tls = lab.start(
        "tls", "-cert-file", lab.folder / "cert.pem", "-key-file", lab.folder / "key.pem",
        "-backup-dir", lab.folder / "backups", "-backup-interval", "2", scheme="https",
    )
    few = ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh"]
    small = lab.start("small", "-snapshot-count", "20", before=few)
    for alone in (tls, small):
        until(f"{alone.name} serves", alone.is_serving)
    return first, others, tls, small


def start_on_small_disk(lab):
    """A machine on a file system of its own, which only it sees; nothing where that cannot be."""
    where = lab.folder / "small-disk"
    where.mkdir()
    own = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
    own += [f'mount -t tmpfs -o size=128m stead-test "{where}" && exec "$@"', "sh"]
    if run(*own, "true")[0] != 0:
        say("not tested: SteadDiskFull, SteadDiskAlmostFull: no file system can be mounted here")
        return None
    disk = lab.start("disk", before=own, dir=where / "data")
    until("disk serves", disk.is_serving)
    return disk


def make_traffic(first, small):
    """A bit of everything that panels show."""
    ask(first.url("/v2/keys/short"), "value=x&ttl=1", "PUT")
    for number in range(60):
        for machine in (first, small):
            # Enough for a snapshot where one is due after 20 commands.
            machine.put(f"a{number}", "x" * 4096)
            ask(machine.url(f"/v2/keys/a{number}?recursive=true"))
    ask(first.url("/v2/keys/none"))


def lose_followers(alerts, first, others):
    """A follower that stands still; then a majority that does."""
    m2, m3 = others[:2]
    lost = [("SteadDown", m3), ("SteadMemberUnreachable", first), ("SteadNoRedundancy", first)]
    # One long silence is a slow round trip as well.
    with alerts.fire(("SteadRoundTripSlow", first)):
        with alerts.fire(*lost, ("SteadMemberLags", first)):
            m3.pause()
            for number in range(150):
                first.put(f"b{number % 10}")
        m3.stutter(12, 0.3, 0.05)
    if first.metric("etcd_server_is_leader") != 1:
        raise Failed("m1 does not lead any more")
    lost = [("SteadNoLeader", first), ("SteadWritesFailing", first), ("SteadNotReady", first)]
    with alerts.fire(*lost):
        m2.pause()
        m3.pause()
        writes = [threading.Thread(target=first.put, args=("c",)) for _ in range(8)]
        for write in writes:
            write.start()
        for write in writes:
            write.join()
    m2.go_on()
    m3.go_on()
    until("there is a leader", lambda: first.metric("etcd_server_has_leader") == 1)


def change_leaders(members):
    """The leader stands still until another one leads, again and again."""
    def leader():
        return next((one for one in members if one.metric("etcd_server_is_leader") == 1), None)

    for _ in range(5):
        old = until("there is a leader", leader)
        old.pause()
        others = [one for one in members if one is not old]
        until("another one leads",
              lambda: any(one.metric("etcd_server_is_leader") == 1 for one in others))
        old.go_on()
        until("the old one knows", lambda: old.metric("etcd_server_is_leader") == 0)


def crowd(alerts, small):
    """More connections than a machine may have."""
    wanted = [("SteadDescriptorsLow", small), ("SteadConnectionsRefused", small)]
    clients = [HTTPConnection("127.0.0.1", small.port, timeout=5) for _ in range(230)]
    with alerts.fire(*wanted):
        for client in clients:
            client.connect()
    for client in clients:
        client.close()


def slow_down(alerts, small):
    """A machine that gets no processor time in the middle of its syncs, as from a slow disk."""
    is_over = threading.Event()

    def write():
        while not is_over.is_set():
            small.put("d")

    writers = [threading.Thread(target=write) for _ in range(4)]
    with alerts.fire(("SteadSyncSlow", small), ("SteadLoopSlow", small)):
        for writer in writers:
            writer.start()
        small.stutter(14, 0.4, 0.01)
        is_over.set()
        for writer in writers:
            writer.join()


def fill(alerts, disk):
    """A disk that becomes full."""
    # Its file system is seen by its process alone.
    path = f"/proc/{disk.process.pid}/root{disk.dir.parent}/filler"

    def write_all():
        with open(path, "wb", buffering=0) as filler:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        filler.write(bytes(size))
                except OSError:
                    pass

    with alerts.fire(("SteadDiskAlmostFull", disk), ("SteadDiskFull", disk)):
        write_all()
        until("writes are refused", lambda: disk.put("e", "x" * 1_000_000) == 503)


def set_clock(alerts, member):
    """A machine whose wall clock is ten seconds ahead."""
    library = next((path for path in FAKETIME if path.exists()), None)
    if not library:
        say("not tested: SteadClockOff: faketime is not installed")
        return
    environment = {"LD_PRELOAD": str(library), "FAKETIME": "+10s", "PATH": "/usr/bin:/bin"}
    with alerts.fire(("SteadClockOff", member)):
        member.restart(env=environment)
        until(f"{member.name} serves", member.is_serving)


def test(lab):
    """All of it."""
    check_files()
    first, others, tls, small = start_all(lab)
    disk = start_on_small_disk(lab)
    members = [first, *others[:2]]
    for machine in (*members, others[2], tls):
        check_page(machine)
    jobs = {"stead": [first, *others], "stead-tls": [tls], "stead-alone": [small]}
    if disk:
        jobs["stead-disk"] = [disk]
    lab.scrape(jobs)
    count = sum(map(len, jobs.values()))
    until("all are scraped", lambda: lab.query("sum(up) == %d" % count))
    make_traffic(first, small)
    check_latencies(small)
    check_dashboard(lab)
    alerts = Alerts(lab)
    if early := lab.query("count by (alertname) (count_over_time(ALERTS[1h]))"):
        raise Failed(f"alerts without a fault: {early}")
    say("ok: no alert fires without a fault")

    with alerts.fire(("SteadCertificateEnds", tls)):
        certificate(lab, 10)
    with alerts.fire(("SteadBackupFailing", tls), ("SteadBackupOld", tls)):
        (lab.folder / "backups").rename(lab.folder / "backups-gone")
        (lab.folder / "backups").write_text("a file")
    crowd(alerts, small)
    # A majority that is lost and comes back may take more than one election.
    with alerts.fire(("SteadLeaderChanges", None)):
        lose_followers(alerts, first, others)
        change_leaders(members)
    slow_down(alerts, small)
    if disk:
        fill(alerts, disk)
    set_clock(alerts, others[1])

    left = rule_names() - alerts.seen - ONLY_PROMTOOL
    left -= set() if disk else {"SteadDiskFull", "SteadDiskAlmostFull"}
    left -= set() if any(path.exists() for path in FAKETIME) else {"SteadClockOff"}
    if left:
        raise Failed(f"alerts that nothing makes fire: {left}")


def main():
    """Runs the test; the exit code says how it went."""
    lab = Lab(sys.argv[1])
    try:
        test(lab)
    except Failed as failed:
        lab.tell_logs()
        print(f"FAILED: {failed}")
        return 1
    finally:
        lab.clear()
    say(f"ok; by promtool alone: {', '.join(sorted(ONLY_PROMTOOL))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
