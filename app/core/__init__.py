"""The console without Qt: what is known, how old it is, and what that means. Tested without a display."""
