"""What glibc keeps of the memory that a process has given back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tests.kit.commands import ROOT

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="another library has no such setting"
)

# Blocks of C, because Python has an allocator of its own for its small ones.
_SETTING = """
import ctypes, re, sys
from service.engine.serve import heap
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.fopen.restype = ctypes.c_void_p
libc.fclose.argtypes = [ctypes.c_void_p]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
def state():
    file = libc.fopen(sys.argv[1].encode(), b"w")
    libc.malloc_info(0, file)
    libc.fclose(file)
    return open(sys.argv[1]).read()
"""
_BLOCKS = """
heap.release_large_blocks()
libc.free(libc.malloc(1 << 20))  # here glibc would raise its threshold
mapped = lambda: int(re.findall('type="mmap" count="([0-9]+)"', state())[0])
before = mapped()
libc.malloc(1 << 19)
print(mapped() - before)
"""


def test_a_large_block_is_mapped_by_itself_after_the_first_one_was_freed_too(tmp_path):
    assert _printed(_BLOCKS, tmp_path) == 1


def _printed(code, folder):
    command = [sys.executable, "-c", _SETTING + code, folder / "state"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(run.stdout)
