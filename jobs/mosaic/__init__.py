"""Fuzzy duplicates: canaries, their changed copies, fine-tuning, membership inference."""
