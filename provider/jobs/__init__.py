"""The life of a print job on the print server."""
