"""Errors and warnings of late."""

import logging

from backend.compat.log_counts import KEPT_MINUTES, LogCounts


def test_counts_by_minutes() -> None:
    now_s = 6000.0
    counts = LogCounts(lambda: now_s)
    logger = logging.Logger("a logger of this test")
    logger.addHandler(counts)
    logger.info("not counted")
    logger.warning("one")
    logger.error("two")
    logger.critical("three")
    assert (counts.warnings(1), counts.errors(1)) == (1, 2)
    now_s += 60
    logger.warning("four")
    assert (counts.warnings(1), counts.warnings(2), counts.errors(1), counts.errors(2)) == (1, 2, 0, 2)
    for _ in range(KEPT_MINUTES):
        now_s += 60
        logger.warning("five")
    assert (counts.warnings(240), counts.errors(KEPT_MINUTES + 10)) == (240, 0)
