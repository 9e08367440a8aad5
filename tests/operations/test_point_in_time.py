"""Back to the moment before a mistake, from a base backup and the archived write-ahead log."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.kit.installations import PostgresInstallation
from tests.kit.operations_guide import follow, snippet
from tests.kit.postgres_cluster import cluster
from tests.kit.smtp import until
from tests.kit.writers import signed_up, writing


def test_every_write_acknowledged_before_a_mistake_can_be_restored(open_ground: Path) -> None:
    saved = open_ground / "saved"
    (saved / "wal").mkdir(parents=True)
    archive = snippet("archive", {"/var/backups": saved})
    settings = dict(re.findall(r"^(\w+) = '?(.*?)'?$", archive, re.MULTILINE))
    with cluster(open_ground / "cluster", **settings) as own:
        if own.user:
            for folder in (open_ground, saved, saved / "wal"):
                shutil.chown(folder, own.user)
        byline = PostgresInstallation(open_ground / "byline", cluster=own)
        known = {**byline.settings, "PGDATA": str(own.folder)}

        with byline.serving() as url, signed_up(url):
            with writing(url) as writers:
                follow("base backup", open_ground, {"/var/backups": saved}, own.user, **known)
                many = len(writers.written) + 50
                until(lambda: len(writers.written) > many)
            ((moment,),) = own.execute("SELECT clock_timestamp()")
            byline.ask("WITH gone AS (DELETE FROM posts RETURNING 1) SELECT count(*) FROM gone")
        own.stop()
        places = {"/var/backups": saved, "2026-01-01 00:00:00+00": moment}
        follow("point in time", open_ground, places, own.user, **known)
        own.start()
        until(lambda: own.execute("SELECT pg_is_in_recovery()") == [(False,)])

        with byline.serving() as url, signed_up(url) as reader:
            for one in writers.written:
                assert reader.get(f"/api/posts/{one.post['id']}").json() == one.post
