"""`python -m fallline` is `fallline`."""

from __future__ import annotations

import sys

from fallline.cli import main

sys.exit(main())
