"""Tests that build and run an image; only `make test-container` collects them.

CROSSFIX_TEST_CONTAINERS is `cpu` for the CPU image and the stack, or `gpu` for the GPU image.
"""

import os

_IGNORED = {"cpu": ["test_gpu_image.py"], "gpu": ["test_image.py", "test_compose.py"]}

collect_ignore_glob = _IGNORED.get(os.environ.get("CROSSFIX_TEST_CONTAINERS", ""), ["test_*.py"])
