"""The CUPS backend: one file that `track` copies as it is; nothing here is imported by it."""
