"""The daemon's end of the unix socket on which the CUPS backend asks."""
