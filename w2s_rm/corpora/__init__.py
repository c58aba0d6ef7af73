"""What small models read in pretraining: one file a corpus."""

from w2s_rm.corpora._base import EOS, PAD, UNK, Corpus, Lines

__all__ = ["EOS", "PAD", "UNK", "Corpus", "Lines"]
