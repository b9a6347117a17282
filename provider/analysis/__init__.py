"""What a document will put on paper: found by looking at it, or by a stated rule where that cannot be done."""
