"""What was decided: experiments, transitions, allocations, pins, looks, and the baselines of features."""
