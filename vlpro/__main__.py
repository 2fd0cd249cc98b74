"""``python -m vlpro``: the same as the command ``vlpro``."""

import sys

from vlpro.commands.app import main

if __name__ == "__main__":
    sys.exit(main())
