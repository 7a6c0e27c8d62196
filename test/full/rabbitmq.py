#!/usr/bin/env python3
"""A RabbitMQ cluster of three nodes on loopback: rabbitmq.py FOLDER [PROGRAM ARGUMENT...].

Alone it has a pool publish while nodes are killed and started again, and sees to it that nothing is
lost; TERN_LIBRARY and PYTHONPATH name the library and the Python binding. With a program it runs
that instead, with the nodes' URLs, separated by commas, as the last argument.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

NODES = 3
PATIENCE = 120.0
TOPICS = 32
SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"


def free_ports(count: int) -> list[int]:
    """Ports that are free at this moment, each another."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def wait_until(what: str, condition) -> None:
    """Waits for a condition; ends the program where it does not come true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"not in {PATIENCE:.0f} s: {what}")
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Cluster:
    """Three nodes, with folders, a cookie and an epmd of their own."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder.resolve()
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text("ternternterntern")
        cookie.chmod(0o400)
        ports = free_ports(3 * NODES + 1)
        self.epmd_port, rest = ports[0], ports[1:]
        self.amqp, self.dist, self.mqtt = rest[:NODES], rest[NODES : 2 * NODES], rest[2 * NODES :]
        self.nodes: list[subprocess.Popen | None] = [None] * NODES
        epmd = shutil.which("epmd") or "/usr/bin/epmd"
        self.epmd = subprocess.Popen(
            [epmd, "-address", "127.0.0.1", "-port", str(self.epmd_port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def environment(self, index: int) -> dict[str, str]:
        """What a node is told."""
        home = self.folder / f"node{index}"
        home.mkdir(exist_ok=True)
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.amqp[index]}",
            f"mqtt.listeners.tcp.1 = 127.0.0.1:{self.mqtt[index]}",
            "mqtt.allow_anonymous = true",
            "cluster_formation.peer_discovery_backend = classic_config",
            *[f"cluster_formation.classic_config.nodes.{i + 1} = tern{i}@localhost" for i in range(NODES)],
            "log.file.level = info",
        ]
        (home / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (home / "enabled_plugins").write_text("[rabbitmq_mqtt].\n")
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {
            **os.environ,
            "HOME": str(self.folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "RABBITMQ_NODENAME": f"tern{index}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.amqp[index]),
            "RABBITMQ_DIST_PORT": str(self.dist[index]),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": loopback + " +S 2:2 +sbwt none",
            "RABBITMQ_CTL_ERL_ARGS": loopback,
        }

    def start(self, index: int) -> None:
        """Starts a node, and waits until it takes MQTT."""
        with open(self.folder / f"node{index}.out", "ab") as out:
            self.nodes[index] = subprocess.Popen(
                [SERVER],
                env=self.environment(index),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        wait_until(f"node {index} takes MQTT", lambda: listens(self.mqtt[index]))

    def kill(self, index: int) -> None:
        """Ends a node as a power failure would."""
        node = self.nodes[index]
        if node is not None:
            os.killpg(node.pid, signal.SIGKILL)
            node.wait()
            self.nodes[index] = None

    def whole(self) -> bool:
        """Whether all nodes see each other."""
        told = subprocess.run(
            ["/usr/lib/rabbitmq/bin/rabbitmqctl", "--timeout", "60", "-n", "tern0@localhost"]
            + ["eval", "length(rabbit_nodes:all_running())."],
            env=self.environment(0),
            capture_output=True,
            text=True,
            check=False,
        )
        return told.stdout.strip() == str(NODES)

    def urls(self) -> list[str]:
        """Where the nodes are."""
        return [f"mqtt://127.0.0.1:{port}" for port in self.mqtt]

    def __enter__(self) -> Cluster:
        wait_until("epmd listens", lambda: listens(self.epmd_port))
        for index in range(NODES):
            self.start(index)
        wait_until("the cluster is whole", self.whole)
        return self

    def __exit__(self, *_: object) -> None:
        for index in range(NODES):
            self.kill(index)
        self.epmd.terminate()
        self.epmd.wait()


class Load:
    """A pool publishes by all nodes, and a subscriber at the first one counts."""

    def __init__(self, cluster: Cluster) -> None:
        import tern

        self.tern = tern
        self.lock = threading.Lock()
        self.first: dict[str, list[int]] = {f"load/{i}": [] for i in range(TOPICS)}
        self.seen: set[tuple[str, int]] = set()
        self.again = 0
        self.subscriber = tern.Client(cluster.urls()[0], client_id="counter")
        self.subscriber.on_message = self._count
        self.subscriber.connect(60)
        self.subscriber.subscribe("load/#", qos=1, timeout=60)
        self.pool = tern.Pool(
            *cluster.urls(),
            members=6,
            client_id_prefix="load",
            retry_delay=(0.1, 2.0),
            outbox_policy=tern.OutboxPolicy.BLOCK,
            outbox_messages=2000,
        )
        self.pool.connect(60, members=6)
        self.publications: list = []
        self.going = True
        self.publisher = threading.Thread(target=self._publish)
        self.publisher.start()

    def _count(self, message) -> None:
        number = int(message.text)
        with self.lock:
            if (message.topic, number) in self.seen:
                self.again += 1
            else:
                self.seen.add((message.topic, number))
                self.first[message.topic].append(number)

    def _publish(self) -> None:
        number = 0
        while self.going:
            topic = f"load/{number % TOPICS}"
            self.publications.append(self.pool.publish(topic, str(number), qos=1))
            number += 1

    def wait_for(self, more: int) -> None:
        """Until so many more messages have come."""
        goal = len(self.seen) + more
        wait_until(f"{more} more messages come", lambda: len(self.seen) >= goal)

    def end(self) -> None:
        """Says what became of all; ends the program where something was lost."""
        self.going = False
        self.publisher.join(PATIENCE)
        self.pool.flush(PATIENCE)
        outcomes: dict[str, int] = {}
        for one in self.publications:
            outcomes[one.outcome.name] = outcomes.get(one.outcome.name, 0) + 1
        count = len(self.publications)
        wait_until(f"all {count} come ({len(self.seen)} have)", lambda: len(self.seen) >= count)
        disordered = sum(numbers != sorted(numbers) for numbers in self.first.values())
        print(f"{count} messages: {outcomes}; {self.again} came twice; topics out of order: {disordered}")
        self.pool.close()
        self.subscriber.close()
        if outcomes != {"DELIVERED": count} or disordered:
            raise SystemExit("failed")


def try_kills(cluster: Cluster) -> None:
    """Nodes that publishers are connected to are killed, one after the other, and come back."""
    load = Load(cluster)
    load.wait_for(2000)
    for victim in (2, 1):
        cluster.kill(victim)
        print(f"node {victim} was killed after {len(load.seen)} messages")
        load.wait_for(5000)  # it goes on with the others
        cluster.start(victim)
        wait_until("the cluster is whole again", cluster.whole)
        load.wait_for(2000)
    load.end()


def main() -> int:
    """Does the one or the other."""
    with Cluster(Path(sys.argv[1])) as cluster:
        if len(sys.argv) > 2:
            return subprocess.run([*sys.argv[2:], ",".join(cluster.urls())], check=False).returncode
        try_kills(cluster)
    return 0


if __name__ == "__main__":
    sys.exit(main())
