"""`make bench`: every benchmark one after another, or those named. Two at once would measure each other."""

import argparse
import subprocess
import sys
from pathlib import Path

NO_BENCHMARKS = ("__init__", "__main__", "frame", "population")


def names() -> list[str]:
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NO_BENCHMARKS)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure, each line beside its peer.")
    parser.add_argument("name", nargs="*", help=f"of: {', '.join(names())}")
    asked = parser.parse_args().name or names()
    unknown = sorted(set(asked) - set(names()))
    if unknown:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(names())}")
    failed = [name for name in asked if subprocess.run([sys.executable, "-m", f"scripts.bench.{name}"]).returncode != 0]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
