"""Counters and histograms that metrics are made of."""

from backend.base.tally import Counts, Histogram


def test_a_value_counts_in_every_bucket_that_it_does_not_exceed() -> None:
    found = Histogram((1, 2, 4))
    for value in (0.5, 1, 1.5, 4, 9):
        found.observe(value)
    assert list(found.buckets()) == [("1", 2), ("2", 3), ("4", 4), ("+Inf", 5)]
    assert found.sum == 16


def test_counts_by_key() -> None:
    found: Counts[str] = Counts()
    for key in "aba":
        found.add(key)
    assert found.of == {"a": 2, "b": 1}
