"""Write synthetic drives: `python -m edgeconv.models.mininet.generate OUT --drives 20 --frames 40 --seed 0`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgeconv.errors import EdgeconvError
from edgeconv.models.mininet.drive import DriveConfig, write_drives

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Write synthetic drives in KITTI's raw layout; what is there already is kept."""
    parser = argparse.ArgumentParser(prog="python -m edgeconv.models.mininet.generate", description=main.__doc__)
    parser.add_argument("out", type=Path, help="folder that the day's folder goes into")
    parser.add_argument("--drives", type=int, default=20, help="number of drives (20)")
    parser.add_argument("--frames", type=int, default=40, help="frames of each, at 10 Hz (40)")
    parser.add_argument("--width", type=int, default=416, help="of the pictures, in pixels (416)")
    parser.add_argument("--height", type=int, default=128, help="of the pictures, in pixels (128)")
    parser.add_argument("--moving-cars", type=int, default=0, help="other cars that drive in each scene (0)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other streets (0)")
    options = parser.parse_args(arguments)

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\rrendering {done} of {total} frames", end="" if done < total else "\n", file=sys.stderr)

    try:
        config = DriveConfig(options.width, options.height, options.frames, moving_cars=options.moving_cars)
        written = write_drives(options.out, config, options.drives, options.seed, progress=show)
    except EdgeconvError as error:
        print(f"generate: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{len(written)} drives of {config.frames} frames in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
