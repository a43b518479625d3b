"""Room at the end of a file, mapped into memory: to append there is a copy and no system call.

What was copied is in the kernel's page cache, as after write(2): readers see it, fdatasync takes it to the
disk, and it outlives this process. The room is filled with NUL bytes before it is mapped, and each byte of it
changes once, from NUL to what it stays. So what stands before the first NUL is final, in whatever order bytes
are copied.

Memory that a file system cannot back is a signal (SIGBUS) where write(2) has an error. So the NULs are
written by write(2), which takes the blocks, and the kernel is asked for pages that can be written to before
any are (`madvise`): it answers with an error where a copy would be the end of the process.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable
from typing import Final

__all__ = ["MappedTail"]

_POPULATE_WRITE: Final = 23
"""MADV_POPULATE_WRITE, of Linux 5.14 and later; the standard library has no name for it."""
_MADVISE: Final = ctypes.CDLL(None, use_errno=True).madvise
"""`mmap.madvise` holds the interpreter's lock while a disk that hangs lets it wait; this does not."""
_MADVISE.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_NULS: Final = memoryview(bytes(256 * 2**10))


class MappedTail:
    """The room behind the content of one file, while nobody else appends to it."""

    def __init__(self, handle: int, size: int, end: int) -> None:
        """Make room from `size`, where the content ends, to `end`; both in bytes.

        Raises:
            OSError: the disk has no room, or its files cannot be mapped. NULs may be left behind the content.
        """
        if sys.platform != "linux" or not getattr(sys, "_is_gil_enabled", lambda: True)():
            raise OSError("pages cannot be asked for here, or threads of Python run at the same time")
        at = size
        while at < end:
            at += os.pwrite(handle, _NULS[: end - at], at)
        self._handle = handle
        self._start = size - size % mmap.PAGESIZE
        self._map = mmap.mmap(handle, end - self._start, offset=self._start)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self._map.seek(size - self._start)
        self._ends_at_least = end
        """Where the content ends, or what was put while this was being closed begins."""
        try:
            self.refresh()
        except OSError:
            self._map.close()
            raise
        self.put: Final[Callable[[bytes], int]] = self._map.write
        """Append all of it; ValueError if there is no room for it, or no more.

        A single call into C, during which no other thread of Python runs: it needs no lock.
        """

    @property
    def size(self) -> int:
        """Where the content of the file ends, while nobody appends."""
        return self._ends_at_least if self._map.closed else self._start + self._map.tell()

    def refresh(self) -> None:
        """Make sure that all there is room for can be put.

        That holds until the kernel writes the pages back: at the next sync of the file, or when it sees fit.

        Raises:
            OSError: it cannot be, and nothing may be put.
        """
        at, end = self._map.tell(), len(self._map)
        page = at - at % mmap.PAGESIZE
        if page < end and _MADVISE(self._address + page, end - page, _POPULATE_WRITE):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def close(self) -> None:
        """Let nobody append any more."""
        if not self._map.closed:
            self._ends_at_least = min(self._ends_at_least, self.size)
            self._map.seek(0, os.SEEK_END)  # whoever comes from here on finds no room
            self._map.close()

    def end(self) -> int:
        """Where the content of the file ends, when this is closed.

        Raises:
            OSError: the file cannot be read.
        """
        end = self._ends_at_least
        # What was put while it was being closed is found in the file, since memory would be a signal again.
        while (more := os.pread(self._handle, mmap.PAGESIZE, end)) and more[0]:
            end += len(more.partition(b"\0")[0])
        return end
