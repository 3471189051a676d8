"""Texts to train on and to inject into."""
