"""Runs an unpacked image in a container, as its own configuration says.

usage: image.py IMAGE ROOT RUNTIME

IMAGE is the folder of an OCI image layout, ROOT its layer, unpacked with its owners, RUNTIME runc
or crun. The container has the image's user, command, variables and working directory, namespaces of
its own (the network's too, so that its ports are the image's), a root that cannot be written, no
capabilities, and /data and /tmp alone to write to. Ends with 3 where the runtime cannot make a
container on this machine at all.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE = 60
NO_CONTAINERS = 3

# Where a program that is not linked statically finds its libraries: the machine's own, to read.
LIBRARIES = ["/lib", "/lib64", "/usr/lib"]
NAMESPACES = ["pid", "mount", "ipc", "uts", "network"]
CAPABILITIES = ["bounding", "effective", "inheritable", "permitted", "ambient"]
# Of a socket that listens, in /proc/net/tcp.
LISTENS = "0A"


class Failed(Exception):
    """Something is not as it should be."""


def image_config(image):
    """What the image says of how it is run."""
    read = lambda one: json.loads((image / "blobs/sha256" / one["digest"][7:]).read_text())
    index = json.loads((image / "index.json").read_text())
    return read(read(index["manifests"][0])["config"])["config"]


def mount(path, source, *options):
    return {"destination": path, "source": str(source), "type": "bind", "options": list(options)}


def write_bundle(bundle, root, config):
    """What a runtime wants to know, and a folder for the image's volume."""
    user, group = map(int, config["User"].split(":"))
    mounts = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
    ]
    for path in config["Volumes"]:
        volume = bundle / path.strip("/")
        volume.mkdir(mode=0o700)
        os.chown(volume, user, group)
        mounts.append(mount(path, volume, "bind", "rw"))
    linked = subprocess.run(["ldd", root / "stead"], capture_output=True, text=True).stdout
    if "=>" in linked:
        there = [path for path in LIBRARIES if Path(path).exists()]
        mounts += [mount(path, path, "rbind", "ro") for path in there]
    process = {
        "user": {"uid": user, "gid": group},
        "args": config["Entrypoint"] + config["Cmd"],
        "env": config.get("Env", []),
        "cwd": config["WorkingDir"],
        "noNewPrivileges": True,
        "capabilities": {name: [] for name in CAPABILITIES},
    }
    bundle.joinpath("config.json").write_text(json.dumps({
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": str(root), "readonly": True},
        "mounts": mounts,
        "linux": {"namespaces": [{"type": name} for name in NAMESPACES]},
    }))


class Container:
    """The image as a container; its end is that of the test."""

    def __init__(self, bundle, runtime):
        self.bundle, self.runtime = bundle, runtime
        self.name = f"stead-test-{os.getpid()}"
        self.log = bundle / "log"

    def start(self):
        with self.log.open("ab") as log:
            command = [self.runtime, "run", "--bundle", self.bundle, self.name]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def call(self, *words):
        words = [self.runtime, *words]
        return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)

    def execute(self, *words):
        """Runs a program in the container. Gives what it printed; nothing if it failed."""
        done = self.call("exec", self.name, *words)
        return done.stdout if done.returncode == 0 else None

    def become_healthy(self, check):
        """Waits until the image's own check succeeds; says whether a container was made."""
        end = time.monotonic() + PATIENCE
        while self.execute(*check) is None:
            if self.process.poll() is not None:
                if "stead" not in self.log.read_text():
                    return False
                raise Failed(f"it ended with {self.process.returncode}")
            if time.monotonic() > end:
                raise Failed(f"it is not healthy after {PATIENCE} s")
            time.sleep(0.1)
        return True

    def pid(self):
        return json.loads(self.call("state", self.name).stdout)["pid"]

    def stop(self, stop_signal):
        """As an engine does."""
        self.call("kill", self.name, stop_signal)
        code = self.process.wait(PATIENCE)
        if code != 0:
            raise Failed(f"it ended with {code} when it was stopped")

    def end(self):
        self.call("delete", "--force", self.name)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)


def check_process(pid, config):
    """Whose the process is, and where it listens."""
    status = Path(f"/proc/{pid}/status").read_text()
    owner = [line.split()[1] for line in status.splitlines() if line.startswith(("Uid:", "Gid:"))]
    if ":".join(owner) != config["User"]:
        raise Failed(f"it runs as {owner}")
    sockets = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    open_ports = {fields[1] for fields in sockets if fields[3] == LISTENS}
    # An engine leads a published port to the container's outer address, never to its loopback.
    for port in (4001, 2379):
        if f"00000000:{port:04X}" not in open_ports:
            raise Failed(f"port {port} is not open to others: {open_ports}")


def main(image, root, runtime):
    config = image_config(Path(image))
    check = config["Healthcheck"]["Test"]
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder)
        write_bundle(bundle, Path(root).resolve(), config)
        container = Container(bundle, runtime)
        container.start()
        try:
            if not container.become_healthy(check[1:]):
                print(container.log.read_text(), file=sys.stderr)
                return NO_CONTAINERS
            check_process(container.pid(), config)
            container.execute("/stead", "set", "/x", "1")
            for port in (4001, 2379):
                said = container.execute("/stead", "get", "/x", "--endpoints", f"127.0.0.1:{port}")
                if said != "1\n":
                    raise Failed(f"port {port} answers {said}")
            members = container.execute("/stead", "members", "--endpoints", "127.0.0.1:2379")
            if "clientURLs=http://127.0.0.1:2379 " not in members:
                raise Failed(f"clients of 2.x are told {members}")
            container.stop(config["StopSignal"])
            container.start()
            container.become_healthy(check[1:])
            if container.execute("/stead", "get", "/x") != "1\n":
                raise Failed("what was written is gone after a restart")
            container.stop(config["StopSignal"])
        except (Failed, OSError, ValueError, subprocess.SubprocessError) as failure:
            print(f"image: {failure}", container.log.read_text(), sep="\n", file=sys.stderr)
            return 1
        finally:
            container.end()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
