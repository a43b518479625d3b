"""Numbers in, numbers out: the statistics of online and offline experiments.

Nothing here reads a file, a clock or global randomness. Functions take sufficient statistics or small arrays,
state their formula and its source, and raise rather than answer with a zero or a NaN.
"""
