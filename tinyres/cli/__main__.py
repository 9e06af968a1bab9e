"""`python -m tinyres.cli`."""

import sys

from tinyres.cli import main

sys.exit(main())
