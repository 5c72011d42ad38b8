"""python -m edgeconv.hw.formal [PROOF ...]: proves that the RTL's arithmetic is what its specification says."""

from __future__ import annotations

import argparse
import sys
import time

from edgeconv.errors import EdgeconvError
from edgeconv.hw.formal.proofs import PROOFS
from edgeconv.hw.formal.prove import prove, prove_identity


def _main() -> int:
    names = [proof.name for proof in PROOFS]
    parser = argparse.ArgumentParser(prog="python -m edgeconv.hw.formal", description="Proofs about the RTL.")
    parser.add_argument("proof", nargs="*", metavar="PROOF", help=f"one of {', '.join(names)}; without, all of them")
    chosen = parser.parse_args().proof or names
    if unknown := set(chosen) - set(names):
        parser.error(f"no proof {sorted(unknown)[0]!r}")
    failed = 0
    for proof in (proof for proof in PROOFS if proof.name in chosen):
        started = time.monotonic()
        found = prove(proof)
        took = time.monotonic() - started
        print(f"{'FAILS ' if found else 'proved'} {took:6.1f} s  {proof.name}: {proof.says}", flush=True)
        if found:
            failed += 1
            print(f"       {found}")
    prove_identity()
    print("proved           multiplied out: that sum is acc·multiplier + addend, for all integers")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(_main())
    except EdgeconvError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
