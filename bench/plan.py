"""What a run measures, and the databases that it makes when a section first asks for them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench import embedded
from bench.contenders import Contender, compare
from bench.data import Data, deep, demo, sqlite
from bench.production import contenders
from bench.production.site import Site, site


@dataclass(frozen=True)
class Plan:
    """What to measure, how often and how long; `until_the_end` keeps servers for all sections."""

    names: list[str]
    folder: Path
    rounds: int
    seconds: int
    users: int
    posts: int
    depth: int  # of the deep page
    until_the_end: ExitStack
    say: Callable[[str], None]

    @cached_property
    def data(self) -> Data:
        self._announce("SQLite")
        return demo(self.folder, sqlite(self.folder / "demo.db"), self.users, self.posts)

    @cached_property
    def contenders(self) -> list[Contender]:
        everybody = embedded.contenders(self.data, self.names)
        self.say("Comparing what they answer")
        compare(everybody, lambda one: embedded.running(self.data, one, self.folder), self.data)
        return everybody

    @property
    def byline(self) -> Contender:
        return self.contenders[0]

    @cached_property
    def deep(self) -> Path:
        return deep(self.folder, self.depth)

    @cached_property
    def site(self) -> Site:
        self._announce("PostgreSQL")
        return self.until_the_end.enter_context(site(self.folder, self.users, self.posts))

    @cached_property
    def production(self) -> list[Contender]:
        everybody = contenders.contenders(self.site.data, self.names)
        self.say("Comparing what they answer on PostgreSQL")
        compare(everybody, self.site.running, self.site.data)
        return everybody

    def _announce(self, database: str) -> None:
        self.say(f"Making {self.users} users and {self.posts} posts in {database}")
