"""Layers around every request, such as keys and limits, one a file; `stack.py` orders them."""
