"""What `w2s-rm view` shows of a folder of runs: a page on the loopback address that reads, and does nothing else."""
