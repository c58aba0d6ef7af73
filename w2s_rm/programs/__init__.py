"""What each stage does when it runs: the part that needs torch."""
