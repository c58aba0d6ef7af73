"""What a frozen model makes of examples, kept on disk, and linear models on that. No torch at import."""
