"""What small models read in pretraining: one file a corpus."""
