"""Imports libraries without modules that they import themselves and a server does not need."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def without(modules: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Whatever imports one of these modules in this block gets an empty one, in which the names
    given for it are None. Modules that have been imported before stay as they are."""
    stand_ins = {name: ModuleType(name) for name in modules if name not in sys.modules}
    for name, stand_in in stand_ins.items():
        vars(stand_in).update(dict.fromkeys(modules[name]))
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]
