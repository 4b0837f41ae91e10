#!/usr/bin/env python3
"""The promise under power cuts: every kill also loses what was written but not synced. Needs a build with -Dfaults=true."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from promise import main  # noqa: E402

if __name__ == "__main__":
    main(__doc__, "sqlite:STATE/ovvm.db?vfs=powercut")
