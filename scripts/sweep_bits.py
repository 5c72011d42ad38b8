"""How many bits a model needs: weights by activations from 2 to 8, and each layer alone at few bits.

python scripts/sweep_bits.py net.onnx --calibration samples.npz --evaluation heldout.npz -o bits/

It writes two sweep files and runs `edgeconv sweep` on them; both can be edited, and run or resumed by hand.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edgeconv.cli import main as edgeconv


def main() -> int:
    """Write the sweep files, run them, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--calibration", default="normal", help="samples, as for edgeconv quantize")
    parser.add_argument("--evaluation", type=Path, help="samples with targets")
    parser.add_argument("--bits", type=int, nargs="+", default=[2, 3, 4, 6, 8])
    parser.add_argument("--layer-bits", type=int, nargs="+", default=[2, 4], help="for each layer alone")
    parser.add_argument("--cost", dest="costs", action="append", default=["model_bytes", "mac_bits"])
    parser.add_argument("-o", "--output", type=Path, default=Path("bits"))
    parser.add_argument("--workers", default="1")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    drawn = options.calibration in ("normal", "uniform")
    common = {
        "model": str(options.model.absolute()),
        "calibration": options.calibration if drawn else str(Path(options.calibration).absolute()),
        "costs": options.costs,
    }
    if options.evaluation:
        common["evaluation"] = str(options.evaluation.absolute())
    grids = {
        "uniform": {"weight_bits": options.bits, "activation_bits": options.bits},
        "layers": {"layer": "*", "weight_bits": options.layer_bits},
    }
    codes = []
    for name, grid in grids.items():
        file = options.output / f"{name}.toml"
        # JSON's strings, numbers and lists are TOML's, too.
        lines = [f"{key} = {json.dumps(value)}" for key, value in common.items()]
        lines += ["", "[grid]", *(f"{key} = {json.dumps(value)}" for key, value in grid.items())]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        output = str(options.output / f"{name}.sweep")
        codes.append(edgeconv(["sweep", str(file), "--output", output, "--workers", options.workers]))
    return max(codes)


if __name__ == "__main__":
    raise SystemExit(main())
