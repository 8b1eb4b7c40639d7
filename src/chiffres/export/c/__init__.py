"""A trained model as C for a microcontroller, computed with integers alone.

``chain`` takes a Keras model apart, ``quantize`` makes a ``network`` of integers of it,
``reference`` says to the bit what that computes, ``confidence`` how sure its answers are; ``pack``,
``memory`` and ``sizes`` lay it out, ``generate`` writes it as C, and ``folder`` makes all the files
around it.
"""
