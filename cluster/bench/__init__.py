"""Benchmarks: each says what it measured, on which machine, with which settings, against what in the same run."""
