"""Tests that build an image and run it; collected by `make test-container` only.

CROSSFIX_TEST_CONTAINERS is `cpu` for the CPU image and the stack, or `gpu` for the GPU image.
"""

import os

_LEFT_OUT = {"cpu": ["test_gpu_image.py"], "gpu": ["test_image.py", "test_compose.py"]}

collect_ignore_glob = _LEFT_OUT.get(os.environ.get("CROSSFIX_TEST_CONTAINERS", ""), ["test_*.py"])
