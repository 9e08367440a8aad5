"""Background work is stopped when the process ends, all of it at the same time."""

from __future__ import annotations

from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from service.engine import assemble
from tests.kit.serving import serving


class Slow:
    """Work that ends only when all others are told to end as well."""

    def __init__(self, barrier: Barrier) -> None:
        self._barrier = barrier
        self.ended = False

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self._barrier.wait(timeout=60)
        self.ended = True


def test_all_background_work_is_stopped_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier = Barrier(3)
    works = [Slow(barrier) for _ in range(3)]
    app = assemble.Assembly.app

    def with_slow_work(self: Any, *, background: list[Any], **others: Any) -> Any:
        return app(self, background=[*background, *works], **others)

    monkeypatch.setattr(assemble.Assembly, "app", with_slow_work)
    with serving(tmp_path) as server, server.client() as client:
        assert client.get("/health/ready").status_code == 200
    assert all(work.ended for work in works)
