"""The three builds that the checks use, and how to make them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# name: (compiler, options of meson setup)
BUILDS = {
    "gcc": ("gcc", ["-Dfaults=true"]),
    "san": ("clang", ["-Dfaults=true", "-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false",
                      "-Doptimization=1", "-Ddebug=true"]),
    "release": ("gcc", ["--buildtype=release", "-Dtests=false"]),
}

# What a sanitizer finds ends the program, with the place.
SANITIZERS = {"ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=1:allocator_may_return_null=1",
              "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}


def run(command: list[str], **environment: str) -> None:
    """Ends the program when the command fails; its output is shown only then."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", env={**os.environ, **environment})
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\n{' '.join(command)} failed ({done.returncode})")


def configure(name: str) -> None:
    """Makes build/NAME where there is none, or sets its options anew."""
    compiler, options = BUILDS[name]
    folder = ROOT / "build" / name
    again = ["--reconfigure"] if (folder / "build.ninja").exists() else []
    run(["meson", "setup", *again, str(folder), *options], CC=compiler)


def ninja(name: str) -> None:
    run(["ninja", "-C", str(ROOT / "build" / name)])


def fuzz_targets() -> list[Path]:
    return sorted(path for path in (ROOT / "build" / "san").rglob("*_fuzz") if path.is_file())
