"""Prefix attacks: does a model continue its training data word for word?"""
