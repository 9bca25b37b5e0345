"""All watermarks: how often each is found after each attack, and how often by mistake.

    python benchmarks/watermark.py --data DIR [--bundle RUN/bundle] [--only picture sound text]
                                   [--items 200] [--negatives 10000]

Runs watermark_picture.py, watermark_sound.py and watermark_text.py one after another; the text
part needs a character model (`wenfang train shakespeare-cpu`); without one it says so and goes on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS = ("picture", "sound", "text")


def command(part: str, asked: argparse.Namespace) -> list[str]:
    """The command line of one part."""
    line = [sys.executable, str(HERE / f"watermark_{part}.py"), "--data", str(asked.data)]
    line += ["--items", str(asked.items), "--negatives", str(asked.negatives)]
    return [*line, "--bundle", str(asked.bundle)] if part == "text" else line


def main() -> int:
    """Run the parts; the worst exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--negatives", type=int, default=10_000)
    asked = parser.parse_args()
    worst = 0
    for part in asked.only:
        print(f"== {part} ==", flush=True)
        if part == "text" and asked.bundle is None:
            print("left out: give --bundle, a character model, to draw marked texts with")
            continue
        worst = max(worst, subprocess.run(command(part, asked), check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
