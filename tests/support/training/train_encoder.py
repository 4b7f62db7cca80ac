"""Run `crossfix-train encoder CONFIG` as a module, which torchrun can start."""

import sys

from model_training.cli.main import main

if __name__ == "__main__":
    sys.argv[1:] = ["encoder", *sys.argv[1:]]
    main()
