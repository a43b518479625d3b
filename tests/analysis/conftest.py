"""What tests of this room share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from promptarena.storage.warehouse import Warehouse


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Warehouse]:
    with Warehouse() as opened:
        yield opened
