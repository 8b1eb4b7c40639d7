"""Judging a model: what it answers, how often it is right, and how sure that figure is."""
