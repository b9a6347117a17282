"""`make run`: the whole system on one machine, a document printed and charged, and everything kept running.

The neighbours come from tests/support: a private cupsd and a real IPP printer, neither of them the system's.
"""
