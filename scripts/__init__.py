"""What `make` calls that is more than a few lines of shell: the demonstration, the benchmarks, the pictures."""
