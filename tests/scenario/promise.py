#!/usr/bin/env python3
"""The promise: what was answered 250 or C0 arrives, wherever the connector is killed. The states: src/store/README.md."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crash import each_failpoint, random_kills  # noqa: E402
from harness import start  # noqa: E402

URL: str | None = None


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=20, help="random kills; thousands for a soak (raise --limit too)")
    parser.add_argument("--passes", type=int, nargs="+", default=[1, 5], help="at which pass of a failpoint to die")


def main(doc: str | None = __doc__, url: str | None = URL) -> None:
    tap, args = start(doc, limit=900, options=options)
    each_failpoint(tap, args.build, url, tuple(args.passes))
    random_kills(tap, args, url)
    tap.finish()


if __name__ == "__main__":
    main()
