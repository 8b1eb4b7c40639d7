"""A page to draw on, and an API to call.

``server`` accepts, ``bodies`` receives within the ``limits``, ``app`` routes, and ``pool`` has the
``jobs`` done by worker processes. What goes wrong is answered as one of the ``problems``.
"""
