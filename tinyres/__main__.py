"""`python -m tinyres`: the command `tinyres`, from a checkout that is not installed, too."""

import sys

from tinyres.cli import main

sys.exit(main())
