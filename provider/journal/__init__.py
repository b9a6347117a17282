"""What the provider keeps on disk before it acts: the journal of jobs and the runs of the real CUPS backends."""
