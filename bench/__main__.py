"""Run every bench of this package, or those named; the exit status is 1 if a target is missed."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys

import bench
from bench.claim import Claim

_NO_BENCHES = ("__main__", "claim", "slow_provider")


def main() -> int:
    """Print one line a claim."""
    names = [found.name for found in pkgutil.iter_modules(bench.__path__) if found.name not in _NO_BENCHES]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; by default all")
    chosen = parser.parse_args().names or names
    if unknown := sorted(set(chosen) - set(names)):
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(names)}")
    claims: list[Claim] = []
    for name in chosen:
        for claim in importlib.import_module(f"bench.{name}").run():
            print(claim, flush=True)
            claims.append(claim)
    missed = [claim.name for claim in claims if not claim.met]
    print(
        f"{len(claims)} claims, {len(missed)} over their target" + "".join(f"\n  {name}" for name in missed)
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
