"""Widgets. They show what models and view data say and decide nothing themselves."""
