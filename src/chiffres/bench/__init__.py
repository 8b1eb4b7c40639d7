"""Chiffres beside its peers on the same processor, in the same minutes."""
