"""The print server's side: a daemon beside CUPS that knows each printing, asks a server for it and reports what was
printed.
"""
