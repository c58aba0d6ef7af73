"""One file for each way to optimise a policy against a reward model: which trainer of TRL, and what it is given."""
