"""Builds every real neighbour: cupsd, IPP printer, PostgreSQL; used by tests, `make run`, bench and screenshots."""
