"""An etcd of one member."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kit.ports import free_port, listens
from tests.kit.programs import program
from tests.kit.smtp import until

PATIENCE = 60  # seconds


@contextmanager
def etcd(folder: Path, user: str | None) -> Iterator[int]:
    """Its port; `user` is whose process it is."""
    port, peers = free_port(), f"http://127.0.0.1:{free_port()}"
    clients = f"http://127.0.0.1:{port}"
    command = [
        *(program("etcd"), "--enable-v2"),
        *(
            "--data-dir",
            str(folder),
            "--log-level",
            "error",
            "--initial-cluster",
            f"default={peers}",
        ),
        *("--listen-client-urls", clients, "--advertise-client-urls", clients),
        *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
    ]
    with folder.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, user=user, cwd="/")
    try:
        until(lambda: listens(port))
        yield port
    finally:
        process.kill()
        process.wait(PATIENCE)
