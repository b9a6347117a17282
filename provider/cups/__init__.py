"""Everything that talks to CUPS and to IPP printers."""
