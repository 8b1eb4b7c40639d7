"""Making a model: a recipe in, a run out."""
