"""Qt models over the store and over paged answers; no widgets here."""
