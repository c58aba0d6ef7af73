"""People as supervisors: examples as questions on a local page, what they answer, and how far they agree. No torch."""
