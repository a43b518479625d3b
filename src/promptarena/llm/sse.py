"""Server-sent events out of the bytes of a stream, however they were cut."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["EventData"]


class EventData:
    """Reads the `data` of events (WHATWG HTML, 9.2.6); names, ids and comments are left out.

    >>> events = EventData()
    >>> list(events.feed(b'data: {"a"')), list(events.feed(b': 1}\\n\\n: ping\\n\\ndata: [DONE]\\r\\n\\r\\n'))
    ([], [b'{"a": 1}', b'[DONE]'])
    """

    __slots__ = ("_data", "_rest")

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Take in what arrived; gives the events that it completes."""
        if b"\n" not in piece:
            # Joined once, when the line is complete: a line may be megabytes in small pieces.
            self._rest.append(piece)
            return
        lines = b"".join((*self._rest, piece)).split(b"\n")
        self._rest = [lines.pop()]
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                yield b"\n".join(self._data)
                self._data = []
