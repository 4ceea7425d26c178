"""Runs two nodes of Debian's Patroni on a machine of Stead on which users count: a cluster of
PostgreSQL is made, configured, switched over, and loses its leader, which comes back; the machine
of Stead is killed and started again under it.

usage: failover.py PATH-TO-STEAD
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab import Failed, Lab, Process, ask, free_port, until

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))

# How long something of Patroni may take that takes seconds, or its time-out of 20 s and seconds,
# on a machine that does much else: 120 s.
PATIENCE = 120

# The shortest that Patroni takes.
TIMES = {"ttl": 20, "loop_wait": 2, "retry_timeout": 8}

# What Patroni needs: everything below its namespace, and nothing else.
PATTERN = "/service/*"


def say(text):
    """Tells how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def wait(what, is_so):
    """Waits for a condition, and says that it holds."""
    result = until(what, is_so, PATIENCE)
    say(f"ok: {what}")
    return result


def told(words, **environment):
    """Runs a program to its end. Gives its exit code, its stdout and its stderr."""
    environment = {**os.environ, **environment}
    options = {"capture_output": True, "text": True, "timeout": PATIENCE, "env": environment}
    try:
        return subprocess.run(words, **options)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"not at its end within {PATIENCE} s: {words}") from late


class Node(Process):
    """A node of Patroni with its PostgreSQL."""

    def __init__(self, lab, home, name, stead_port):
        self.lab, self.port, self.rest_port = lab, free_port(), free_port()
        self.home, self.config = home / name, home / f"{name}.yml"
        self.data = self.home / "data"
        self.home.mkdir(mode=0o700)
        # JSON is YAML.
        self.config.write_text(json.dumps(self.settings(name, stead_port)))
        # PostgreSQL does not run as root.
        self.options = {"cwd": "/"}
        if os.geteuid() == 0:
            shutil.chown(self.home, "postgres", "postgres")
            shutil.chown(self.config, "postgres", "postgres")
            self.options |= {"user": "postgres", "group": "postgres", "extra_groups": []}
        self.begin(name)

    def begin(self, name):
        """Starts it, with the data that it has."""
        super().__init__(self.lab.folder, name, ["patroni", self.config], **self.options)

    def settings(self, name, stead_port):
        """What is in its file."""
        names = {"superuser": "postgres", "replication": "replicator", "rewind": "rewinder"}
        logins = {what: {"username": who, "password": who} for what, who in names.items()}
        parameters = {"max_connections": 20, "shared_buffers": "16MB", "fsync": "off"}
        return {
            "scope": "demo",
            "name": name,
            "restapi": {
                "listen": f"127.0.0.1:{self.rest_port}",
                "connect_address": f"127.0.0.1:{self.rest_port}",
            },
            "etcd": {
                "hosts": f"127.0.0.1:{stead_port}",
                "username": "patroni",
                "password": "of patroni",
            },
            "bootstrap": {
                "dcs": {**TIMES, "postgresql": {"use_pg_rewind": True, "parameters": parameters}},
                "initdb": [{"encoding": "UTF8"}, "data-checksums", "no-sync"],
                "pg_hba": [
                    "local all all trust",
                    "host replication replicator 127.0.0.1/32 scram-sha-256",
                    "host all all 127.0.0.1/32 scram-sha-256",
                ],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": f"127.0.0.1:{self.port}",
                "data_dir": str(self.data),
                "bin_dir": str(BIN),
                "pgpass": str(self.home / "pgpass"),
                "authentication": logins,
                "parameters": {"unix_socket_directories": str(self.home)},
            },
        }

    def sql(self, statement):
        """The answer of its PostgreSQL; nothing if there was none."""
        words = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", "postgres"]
        words = [BIN / "psql", *words, "-Atqc", statement]
        done = told(words, PGPASSWORD="postgres", PGCONNECT_TIMEOUT="5")
        return done.stdout.strip() if done.returncode == 0 else None

    def postmaster(self):
        """The id of its PostgreSQL; nothing if that does not run."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            return pid if os.readlink(f"/proc/{pid}/cwd") == str(self.data) else None
        except (OSError, ValueError, IndexError):
            return None

    def die(self):
        """It and its PostgreSQL end at once, as when the power fails."""
        pid = self.postmaster()
        self.process.kill()
        if pid:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def ctl(self, *words):
        """What patronictl says, which has to succeed."""
        done = told(["patronictl", "-c", self.config, *words], LC_ALL="C.UTF-8")
        if done.returncode != 0:
            raise Failed(f"patronictl {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def roles(self):
        """The roles of the nodes that run, by their names."""
        try:
            members = json.loads(self.ctl("list", "demo", "-f", "json"))
        except (Failed, ValueError):
            return {}
        well = ("running", "streaming")
        return {one["Member"]: one["Role"] for one in members if one["State"] in well}

    def leads(self, other=None):
        """Whether it leads and takes writes, and the other one, if there is one, follows it."""
        wanted = {self.name: "Leader"} | ({other.name: "Replica"} if other else {})
        if self.roles() != wanted or self.sql("SELECT pg_is_in_recovery()") != "f":
            return False
        return other is None or self.sql("SELECT count(*) FROM pg_stat_replication") == "1"


def let_users_count(stead):
    """A user for Patroni, with the rights that it needs."""
    kv = {"read": [PATTERN], "write": [PATTERN]}
    for path, wish in (
        ("users/root", {"user": "root", "password": "of root"}),
        ("roles/patroni", {"role": "patroni", "permissions": {"kv": kv}}),
        ("users/patroni", {"user": "patroni", "password": "of patroni", "roles": ["patroni"]}),
        ("enable", {}),
    ):
        status, said = ask(stead.url(f"/v2/auth/{path}"), json.dumps(wish), "PUT")
        if status not in (200, 201):
            raise Failed(f"/v2/auth/{path}: {status} {said}")
    if (status := stead.put("service/demo/leader")) != 401:
        raise Failed(f"a write without credentials: {status}")
    say("ok: users count")


def check_one(stead, node):
    """A cluster of one node is made and configured, and stays while Stead is away."""
    wait("a cluster is made", node.leads)
    node.ctl("edit-config", "demo", "--force", "-p", "work_mem=5MB")
    wait("the node has what edit-config wrote", lambda: node.sql("SHOW work_mem") == "5MB")
    for other in (("pause", "--wait"), ("resume", "--wait"), ("history",), ("topology",)):
        node.ctl(*other, "demo")
    started = "SELECT pg_postmaster_start_time()"
    before = node.sql(started)
    stead.restart()
    wait("Stead is back after a kill", stead.is_serving)
    # Long enough for a round of Patroni, which would find that it cannot go on.
    time.sleep(2 * TIMES["loop_wait"])
    wait("the node leads as before", node.leads)
    if node.sql(started) != before:
        raise Failed("PostgreSQL was restarted while Stead was")


def count_is(node, wanted):
    """Whether the table has so many rows at a node."""
    return node.sql("SELECT count(*) FROM rows") == str(wanted)


def check_two(one, two):
    """The leader changes by order, and by its end; nothing that was written is lost."""
    wait("the second node follows", lambda: one.leads(two))
    one.ctl("switchover", "demo", "--force", "--candidate", two.name)
    wait("the nodes are switched over", lambda: two.leads(one))
    if two.sql("CREATE TABLE rows AS SELECT 1 AS x") is None:
        raise Failed("the new leader takes no writes")
    wait("a row of the new leader is at the old one", lambda: count_is(one, 1))
    two.ctl("edit-config", "demo", "--force", "-s", "synchronous_mode=true")
    wait("a replica is synchronous", lambda: one.roles().get(one.name) == "Sync Standby")
    two.ctl("edit-config", "demo", "--force", "-s", "synchronous_mode=null")
    wait("and is not any more", lambda: two.leads(one))
    two.die()
    wait("the leader is killed, the other one takes over", lambda: one.leads())
    if one.sql("INSERT INTO rows VALUES (2)") is None or not count_is(one, 2):
        raise Failed("the leader after a kill takes no writes, or has lost some")
    two.begin(two.name)
    wait("the old leader comes back and follows", lambda: one.leads(two))
    wait("and has what was written without it", lambda: count_is(two, 2))


def end(nodes):
    """Ends the nodes and their PostgreSQL."""
    for node in nodes:
        node.process.terminate()
    for node in nodes:
        try:
            node.process.wait(30)
        except subprocess.TimeoutExpired:
            pass
        node.die()


def main():
    """Runs the test; the exit code says how it went."""
    # PostgreSQL outlives who started it: it is ended as well when this is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    lab, nodes = Lab(sys.argv[1]), []
    # PostgreSQL passes through it under its own user.
    home = Path(tempfile.mkdtemp(prefix="stead-patroni-", dir="/var/tmp"))
    home.chmod(0o711)
    try:
        port = free_port()
        stead = lab.start("stead", "-v2-addr", f"127.0.0.1:{port}")
        until("Stead serves", stead.is_serving)
        let_users_count(stead)
        nodes.append(Node(lab, home, "one", port))
        check_one(stead, nodes[0])
        nodes.append(Node(lab, home, "two", port))
        check_two(*nodes)
    except Failed as failed:
        lab.tell_logs()
        print(f"FAILED: {failed}")
        return 1
    finally:
        end(nodes)
        lab.clear()
        shutil.rmtree(home, ignore_errors=True)
    say("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
