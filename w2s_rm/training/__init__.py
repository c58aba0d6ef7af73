"""The trainers and what they stand on: batches and layouts, models loaded and saved, scores. No torch here."""
