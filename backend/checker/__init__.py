"""The outside checker: from what came out of printers, what was acknowledged and what the ledger holds, whether the
promises were kept. Pure, and independent of the code it checks.
"""
