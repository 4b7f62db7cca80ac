"""The layers around every request, one file each; `stack.py` orders them."""
