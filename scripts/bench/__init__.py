"""Benchmarks: each a program by itself (`python -m scripts.bench.NAME`), each line beside its peer in the same run."""
