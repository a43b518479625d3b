"""Every speed claim beside a floor or a peer, run in the same minute on the same data: `python -m bench`.

A bench is a module of this package with `run() -> Iterator[Claim]`. It makes its data by rule, so that
everybody has the same, in a temporary folder, and leaves nothing behind.
"""
