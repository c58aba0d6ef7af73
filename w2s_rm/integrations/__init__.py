"""Out of w2s-rm and into the RLHF loop: rewards for policy trainers, preference datasets, scored responses."""
