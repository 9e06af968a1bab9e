"""`python -m tinyres`: the command `tinyres`, from a checkout that is not installed, too."""

import sys

from tinyres.cli import main

if __name__ == "__main__":
    sys.exit(main())
