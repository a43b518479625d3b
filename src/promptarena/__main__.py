"""The console script `arena`, which is `python -m promptarena` too."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run a command; Ctrl-C ends it without a traceback even while it is still being imported."""
    try:
        from promptarena.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
