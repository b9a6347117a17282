"""Tests; support is imported as tests.support."""
