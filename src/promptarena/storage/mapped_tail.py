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

import mmap
import os
import sys
from collections.abc import Callable
from typing import Final

__all__ = ["MappedTail"]

_POPULATE_WRITE: Final = 23
"""MADV_POPULATE_WRITE, of Linux 5.14 and later; the standard library has no name for it."""
_NULS: Final = memoryview(bytes(256 * 2**10))


class MappedTail:
    """The room behind the content of one file, while nobody else appends to it."""

    def __init__(self, handle: int, size: int, end: int) -> None:
        """Make room from `size`, where the content ends, to `end`; both in bytes.

        Raises:
            OSError: the disk has no room, or its files cannot be mapped. NULs may be left behind the content.
        """
        if sys.platform != "linux":
            raise OSError("whether memory can be written to cannot be asked here")
        at = size
        while at < end:
            at += os.pwrite(handle, _NULS[: end - at], at)
        self._handle = handle
        self._start = size - size % mmap.PAGESIZE
        self._map = mmap.mmap(handle, end - self._start, offset=self._start)
        self._map.seek(size - self._start)
        self._put_at_least = end
        """The content ends there or later, once nobody can append any more."""
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
        """Where the content of the file ends."""
        return self._start + self._map.tell()

    def refresh(self, length: int | None = None) -> None:
        """Make sure that the next so many bytes, or all there are, can be put.

        That holds until the kernel writes the pages back: at the next sync of the file, or when it sees fit.

        Raises:
            OSError: they cannot be, and nothing may be put.
        """
        at, end = self._map.tell(), len(self._map)
        if length is not None:
            end = min(end, at + length)
        page = at - at % mmap.PAGESIZE
        if page < end:
            self._map.madvise(_POPULATE_WRITE, page, end - page)

    def close(self) -> None:
        """Let nobody append any more."""
        if not self._map.closed:
            self._put_at_least = min(self._put_at_least, self.size)
            self._map.seek(0, os.SEEK_END)  # whoever comes from here on finds no room
            self._map.close()

    def end(self) -> int:
        """Where the content of the file ends, when this is closed.

        Raises:
            OSError: the file cannot be read.
        """
        end = self._put_at_least
        # What was put while it was being closed is found in the file, since memory would be a signal again.
        while (more := os.pread(self._handle, mmap.PAGESIZE, end)) and more[0]:
            end += len(more.partition(b"\0")[0])
        return end
