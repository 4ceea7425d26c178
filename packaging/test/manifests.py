"""Runs what packaging/compose and packaging/kubernetes would run, on loopback.

usage: manifests.py PATH-TO-STEAD COMPOSE-SCHEMA

The command lines, variables, files and probes are taken out of the manifests. Names of pods and
services become 127.0.0.1 with a free port in the place of each port, volumes become folders, and
secrets are made by the commands of packaging/kubernetes/README.md. Everything else is as it is
there.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml
from lab import Failed, Process, ask, free_port, until

PACKAGING = Path(__file__).parent.parent
KUBERNETES = PACKAGING / "kubernetes"
COMPOSE = PACKAGING / "compose" / "compose.yaml"
IMAGE = PACKAGING.parent / "crates" / "dist" / "src" / "image.rs"
NAMESPACE = "default"

# Makes files of the secrets that it is told to create.
KUBECTL = """#!/bin/bash
set -eu
[ "$1 $2 $3" = "create secret generic" ]
mkdir -p "secrets/$4"
for word in "${@:5}"; do
  case $word in
  --from-file=*=*) pair=${word#--from-file=}; cp "${pair#*=}" "secrets/$4/${pair%%=*}" ;;
  --from-file=*) file=${word#--from-file=}; cp "$file" "secrets/$4/$file" ;;
  --type=*) ;;
  *) exit 2 ;;
  esac
done
"""


class Container:
    """A container of a manifest, as a process."""

    def __init__(self, group, name, hosts, args, variables, folders):
        self.group, self.name, self.hosts, self.args = group, name, hosts, args
        self.variables, self.folders, self.ports = variables, folders, {}
        self.probes, self.process = {}, None

    def port(self, said):
        """The free port in the place of one of its own."""
        if said not in self.ports:
            self.ports[said] = free_port()
        return self.ports[said]

    def placed(self, text):
        """A text of the manifest with addresses and paths of this machine."""

        def address(found):
            host, said = found[1], int(found[2])
            # Loopback, and what is listened at, are the container's own.
            owners = [one for one in self.group.containers if host in one.hosts] or [self]
            shown = "localhost" if host == "localhost" else "127.0.0.1"
            return f"{shown}:{owners[0].port(said)}"

        text = re.sub(r"\b([a-z0-9][\w.-]*):(\d{4,5})\b", address, text)
        text = text.replace("0.0.0.0", "127.0.0.1")
        paths = "|".join(map(re.escape, self.folders))
        folder = lambda found: found[1] + str(self.folders[found[2]])
        return re.sub(rf"(^|=)({paths})(?=/|$)", folder, text)

    def environment(self, **others):
        values = {**self.variables, **others}
        path = {"PATH": os.environ["PATH"], "HOME": str(self.group.folder)}
        return {**path, **{name: self.placed(value) for name, value in values.items()}}

    def start(self, **others):
        for folder in self.folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        args = [self.placed(word) for word in self.args]
        options = {"env": self.environment(**others), "cwd": self.group.folder}
        command = [self.group.stead, *args]
        self.process = Process(self.group.folder, self.name, command, **options)

    def stop(self):
        """As a kubelet and an engine do. Gives how long it took."""
        begin = time.monotonic()
        self.process.process.send_signal(signal.SIGTERM)
        code = self.process.process.wait(60)
        if code != 0:
            raise Failed(f"{self.name} ended with {code} when it was stopped")
        return time.monotonic() - begin

    def ended(self):
        """What it said last, once it has ended by itself."""
        code = self.process.process.poll()
        return self.process.log.read_text().splitlines()[-1] if code not in (None, 0) else None

    def client(self, *words):
        """Runs the program in the container, as `exec` does."""
        words = [self.placed(word) for word in words]
        command = [self.group.stead, *words]
        done = subprocess.run(
            command, env=self.environment(), cwd=self.group.folder, capture_output=True,
            text=True, timeout=30,
        )
        if done.returncode != 0:
            raise Failed(f"{self.name}: {words}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def is_good(self, probe):
        """Whether a probe of it succeeds."""
        return self.probes[probe]()

    def are_good(self):
        return all(self.is_good(probe) for probe in self.probes)


class Group:
    """The containers of a manifest."""

    def __init__(self, folder, stead):
        self.folder, self.stead, self.containers = folder, stead, []

    def end(self):
        for one in self.containers:
            if one.process:
                one.process.end()


def merged(words, values):
    """A word in which `$(NAME)` and `${NAME:-default}` are replaced."""
    words = re.sub(r"\$\((\w+)\)", lambda found: values[found[1]], words)
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: values.get(found[1], found[2]), words)


def check_schema(name, validate, *args):
    try:
        validate(*args)
    except jsonschema.ValidationError as error:
        where = ".".join(map(str, error.absolute_path))
        raise Failed(f"{name}: {where}: {error.message}") from error


def compose(folder, stead, schema):
    """The services of the compose file."""
    document = yaml.safe_load(COMPOSE.read_text())
    check_schema("compose.yaml", jsonschema.validate, document, json.loads(schema.read_text()))
    group = Group(folder, stead)
    for name, service in document["services"].items():
        variables = {key: merged(value, {}) for key, value in service["environment"].items()}
        (volume, path), = (entry.split(":") for entry in service["volumes"])
        if volume not in document["volumes"]:
            raise Failed(f"compose: there is no volume {volume}")
        address = service["command"][service["command"].index("-addr") + 1]
        if service["ports"] != [f"{address}:{address.partition(':')[2]}"]:
            raise Failed(f"compose: {name} is at {service['ports']} and announces {address}")
        command, folders = service["command"], {path: folder / volume}
        one = Container(group, name, [service["hostname"]], command, variables, folders)
        test = service["healthcheck"]["test"]
        if test[:2] != ["CMD", "/stead"]:
            raise Failed(f"compose: {name} is not checked by its own program")
        one.probes["health"] = lambda one=one, test=test: is_done(one, test[2:])
        group.containers.append(one)
    return group


def is_done(container, words):
    try:
        return bool(container.client(*words))
    except Failed:
        return False


def manifests():
    """The objects of packaging/kubernetes by kind and name, each valid."""
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    there = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    if set(listed) != there:
        raise Failed(f"kustomization.yaml names {listed}, and there are {sorted(there)}")
    found = {}
    for name in listed:
        for one in yaml.safe_load_all((KUBERNETES / name).read_text()):
            version = kubernetes_validate.latest_version()
            check_schema(name, kubernetes_validate.validate, one, version, True)
            found[one["kind"], one["metadata"]["name"]] = one
    return found


def check_references(objects, container):
    """That what names something else names what is there."""
    sets = objects["StatefulSet", "stead"]["spec"]
    pod, labels = sets["template"]["spec"], sets["template"]["metadata"]["labels"]
    ports = {port["name"] for port in container["ports"]}
    disruption = objects["PodDisruptionBudget", "stead"]["spec"]
    affinity = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    selectors = [sets["selector"], disruption["selector"], affinity[0]["labelSelector"]]
    selectors = [one["matchLabels"] for one in selectors]
    services = [one["spec"] for (kind, _), one in objects.items() if kind == "Service"]
    selectors += [one["selector"] for one in services]
    if any(selector != labels for selector in selectors):
        raise Failed(f"a selector is not {labels}: {selectors}")
    targets = {port["targetPort"] for one in services for port in one["ports"]}
    if targets != ports or ("Service", sets["serviceName"]) not in objects:
        raise Failed(f"the services lead to {targets}, and the ports are {ports}")
    volumes = {one["name"] for one in pod["volumes"]}
    volumes |= {one["metadata"]["name"] for one in sets["volumeClaimTemplates"]}
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    if mounts != volumes:
        raise Failed(f"volumes {volumes}, mounts {mounts}")
    user = re.search(r"const USER: u64 = ([\d_]+);", IMAGE.read_text())[1].replace("_", "")
    if str(pod["securityContext"]["runAsUser"]) != user:
        raise Failed(f"the image's user is {user}")


def secrets(folder):
    """Types what README.md says on secrets; they end up in folders."""
    text = (KUBERNETES / "README.md").read_text().partition("## The secrets")[2]
    blocks = re.findall(r"```sh\n(.*?)```", text.partition("\n## ")[0], re.DOTALL)
    (folder / "kubectl").write_text(KUBECTL)
    (folder / "kubectl").chmod(0o755)
    path = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    for block in blocks:
        subprocess.run(["bash", "-euc", block], cwd=folder, env=path, check=True,
                       capture_output=True, timeout=60)
    return folder / "secrets"


def variables_of(container, pod, made):
    """The environment of a pod's container."""
    fields = {"metadata.name": pod, "metadata.namespace": NAMESPACE}
    values = {}
    for one in container["env"]:
        source = one.get("valueFrom", {})
        if "fieldRef" in source:
            values[one["name"]] = fields[source["fieldRef"]["fieldPath"]]
        elif "secretKeyRef" in source:
            reference = source["secretKeyRef"]
            text = (made / reference["name"] / reference["key"]).read_text()
            values[one["name"]] = text.strip()
        else:
            values[one["name"]] = merged(one["value"], values)
    return values


def folders_of(container, spec, pod, folder, made):
    """Where the volumes of a pod are mounted, and which folders they are."""
    sources = {one["name"]: one for one in spec["volumes"]}
    folders = {}
    for mount in container["volumeMounts"]:
        secret = sources.get(mount["name"], {}).get("secret")
        here = made / secret["secretName"] if secret else folder / pod / mount["name"]
        folders[mount["mountPath"]] = here
    return folders


def kubernetes(folder, stead):
    """The pods of the StatefulSet."""
    objects = manifests()
    spec = objects["StatefulSet", "stead"]["spec"]
    pod_spec = spec["template"]["spec"]
    container, = pod_spec["containers"]
    check_references(objects, container)
    made = secrets(folder)
    group = Group(folder, stead)
    for number in range(spec["replicas"]):
        pod = f"stead-{number}"
        host = f"{pod}.{spec['serviceName']}.{NAMESPACE}.svc"
        for what in ("client", "peer"):
            check_host(made / f"stead-{what}-tls" / "tls.crt", host)
        variables = variables_of(container, pod, made)
        args = [merged(word, variables) for word in container["args"]]
        folders = folders_of(container, pod_spec, pod, folder, made)
        one = Container(group, pod, [host], args, variables, folders)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = container[name]
            one.probes[name] = lambda one=one, probe=probe: is_answered(one, probe, ports)
        group.containers.append(one)
    return group


def is_answered(one, probe, ports):
    """A probe as a kubelet makes it: any status from 200 to 399 in time, whatever certificate."""
    get = probe["httpGet"]
    port = one.port(ports[get["port"]])
    url = f"{get['scheme'].lower()}://127.0.0.1:{port}{get['path']}"
    status, _ = ask(url, timeout=probe.get("timeoutSeconds", 1))
    return status is not None and 200 <= status < 400


def check_host(certificate, host):
    """That a certificate is for the name of a pod, which loopback does not show."""
    command = ["openssl", "x509", "-in", certificate, "-noout", "-checkhost", host]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30).stdout
    if "does match" not in said:
        raise Failed(f"{certificate.parent.name} is not for {host}: {said}")


def check(group, admin, seconds_max):
    """A cluster forms, loses a machine, a volume, and its majority."""
    first, second, third = group.containers
    for one in group.containers:
        one.start()
    until("all probes succeed", lambda: all(one.are_good() for one in group.containers))
    endpoint = [one.client_endpoint for one in group.containers]
    first.client("set", "/x", "1", "--endpoints", endpoint[0])
    if second.client("get", "--quorum", "/x", "--endpoints", endpoint[1]) != "1\n":
        raise Failed("what one wrote the other does not read")
    if third.client("members", "--endpoints", endpoint[2]).count("peerURLs") != 3:
        raise Failed("it is no cluster of three")
    leader = next(one for one in group.containers if "true" in own_line(one))
    others = [one for one in group.containers if one is not leader]
    leader.process.end()
    # A probe may fail while another leader is elected; a kubelet asks again seconds later.
    until("the others stay well", lambda: all(one.are_good() for one in others), 5)
    if any(leader.is_good(probe) for probe in leader.probes):
        raise Failed(f"{leader.name} is dead, and its probes succeed")
    until("writes go on", lambda: is_done(others[0], ["set", "/x", "2", *admin(others[0])]), 5)
    leader.start()
    until("it is well again", leader.are_good)
    took = leader.stop()
    if took > seconds_max:
        raise Failed(f"a stop took {took:.1f} s")
    lose_volume(leader, others[0], admin)
    others[0].process.end()
    others[1].process.end()
    check_alone(leader)


def own_line(one):
    lines = one.client("members", "--endpoints", one.client_endpoint).splitlines()
    return next(line for line in lines if f"name={one.name} " in line).partition("isLeader=")[2]


def lose_volume(lost, other, admin):
    """A machine without its data is refused, and joins once it was removed."""
    data = lost.folders["/data"]
    subprocess.run(["rm", "-r", str(data)], check=True)
    refusals = {"new": "already been a member", "existing": "is a member already"}
    for state, refusal in refusals.items():
        lost.start(ETCD_INITIAL_CLUSTER_STATE=state)
        said = until(f"it is refused ({state})", lost.ended)
        if refusal not in said:
            raise Failed(f"{lost.name} ended with: {said}")
    other.client("member", "remove", lost.name, *admin(other))
    lost.start(ETCD_INITIAL_CLUSTER_STATE="existing")
    until("it has joined as a new member", lost.are_good)
    members = other.client("members", "--endpoints", other.client_endpoint)
    if members.count("peerURLs") != 3:
        raise Failed(f"after a lost volume: {members}")


def check_alone(left):
    """Without a majority it lives, and is not ready."""
    probes = [name for name in left.probes if name in ("readinessProbe", "health")]
    until("it says that it is not ready", lambda: not any(map(left.is_good, probes)))
    if not all(left.is_good(name) for name in left.probes if name not in probes):
        raise Failed("it would be restarted for want of a majority")


def check_log(group):
    """A start that is as it should be warns of nothing but this machine's limits."""
    for one in group.containers:
        first = one.process.log.read_text().partition("listening for clients")[0]
        warnings = [line for line in first.splitlines() if " WARN " in line]
        warnings = [line for line in warnings if "process limits" not in line]
        if warnings:
            raise Failed(f"{one.name} warns: {warnings}")


def main(stead, schema):
    for what in ("compose", "kubernetes"):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            group = None
            try:
                if what == "compose":
                    group = compose(folder, stead, Path(schema))
                    scheme, token = "http", []
                else:
                    group = kubernetes(folder, stead)
                    scheme, token = "https", ["--token-file", "/etc/stead/token/token"]
                for number, one in enumerate(group.containers):
                    said = 4001 + number if what == "compose" else 4001
                    one.client_endpoint = f"{scheme}://127.0.0.1:{said}"
                check(group, lambda one: ["--endpoints", one.client_endpoint, *token], 30)
                if what == "kubernetes":
                    check_log(group)
            except (Failed, subprocess.SubprocessError) as failure:
                print(f"manifests: {what}: {failure}", file=sys.stderr)
                for one in group.containers if group else []:
                    tail = one.process.log.read_text().splitlines()[-9:] if one.process else []
                    print(one.name, *tail, sep="\n  ", file=sys.stderr)
                return 1
            finally:
                if group:
                    group.end()
        print(f"manifests: {what}: good")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
