"""Figures and pages, in French and in English."""
