"""``python -m fibrovol``: the same as the command ``fibrovol``."""

import sys

from .cli import main

if __name__ == "__main__":  # worker processes import this module and must not start a command
    sys.exit(main())
