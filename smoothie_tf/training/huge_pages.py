"""Restarts the process with memory in huge pages, if Linux supports them.

A training step uses about ten megabytes, and between two steps other processes evict
them from the caches. Most of the remaining cost of a cold step is the translation of
addresses in pages of 4 KiB: with pages of 2 MiB a step takes 7 % less. The numbers are
the same, bit for bit.
"""

import os
import platform
import sys

_TUNABLE = "glibc.malloc.hugetlb=1"


def restart() -> None:
    """Replaces this process by the same command with huge pages enabled.

    Call it before slow imports. It returns without a restart after the restart itself,
    without glibc 2.35 or later, and if the user has set `GLIBC_TUNABLES`.
    """
    name, version = platform.libc_ver()
    if name != "glibc" or "GLIBC_TUNABLES" in os.environ:
        return
    if tuple(map(int, version.split(".")[:2])) < (2, 35):
        return
    os.environ["GLIBC_TUNABLES"] = _TUNABLE
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
