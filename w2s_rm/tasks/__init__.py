"""One file for each dataset: how its rows become examples."""
