"""Write a folder of generated records: python -m edgeconv.models.ecg_mamba.generate OUT --records 4000 --seed 0.

The folder holds NAME.hea and NAME.mat as in the PhysioNet/CinC Challenges 2020 and 2021, RECORDS, and patients.csv,
which `scan` finds there. --plots draws one record of each diagnosis, too.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeconv.errors import EdgeconvError, UsageError
from edgeconv.models.ecg_mamba.folder import PATIENTS_FILE
from edgeconv.models.ecg_mamba.labels import EXTENDED
from edgeconv.models.ecg_mamba.population import GeneratorConfig, Simulated, simulate_records
from edgeconv.models.ecg_mamba.writer import write_record

__all__ = ["Written", "example_of_each_class", "main", "write_folder"]


@dataclass(frozen=True)
class Written:
    """What was written: records, patients, and records per diagnosis."""

    records: int
    patients: int
    classes: dict[str, int]

    def text(self) -> str:
        """Records and patients, then records per diagnosis."""
        # Wrapping leaves hard spaces alone, which keeps a name and its count on one line.
        counts = ", ".join(f"{name}\xa0{self.classes[name]}" for name in EXTENDED.short_names if name in self.classes)
        lines = textwrap.wrap(counts, 100, initial_indent="  ", subsequent_indent="  ")
        lines = [line.replace("\xa0", " ") for line in lines]
        return "\n".join([f"{self.records} records of {self.patients} patients", *lines])


def write_folder(folder: str | Path, records: int, seed: int = 0, config: GeneratorConfig | None = None) -> Written:
    """Generate records into a folder, which is made when missing.

    Raises:
        UsageError: the folder holds records already: two sets in one folder would mix.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("*.hea")):
        raise UsageError(f"'{folder}' holds records already", advice="name another folder, or empty this one")
    owners: list[tuple[str, str]] = []
    classes: Counter[str] = Counter()
    for one in simulate_records(records, seed, config):
        write(folder, one)
        owners.append((one.record.name, one.record.patient))
        classes.update(one.classes)
    (folder / "RECORDS").write_text("".join(f"{name}\n" for name, _ in owners))
    (folder / PATIENTS_FILE).write_text("record,patient\n" + "".join(f"{name},{owner}\n" for name, owner in owners))
    return Written(records, len({owner for _, owner in owners}), dict(classes))


def write(folder: Path, one: Simulated) -> Path:
    """Write one generated record; returns the path of its header."""
    record = one.record
    return write_record(
        folder,
        record.name,
        record.adc,
        one.device.rate_hz,
        gain=one.device.gain,
        baseline=one.device.baseline,
        codes=record.codes or (),
        age=None if record.age is None else int(record.age),
        sex=record.sex,
    )


# Settings under which every record shows the diagnosis, and little else.
_NOTHING_ELSE = {
    "conduction": {},
    "av_block": 0.0,
    "left_axis": 0.0,
    "long_qt": 0.0,
    "low_voltage": 0.0,
    "st_elevation": 0.0,
    "st_depression": 0.0,
    "t_inversion": 0.0,
    "rhythm": "normal",
}
_SHOWING: dict[str, dict[str, object]] = {
    "NSR": {},
    "SB": {"rhythm": "brady"},
    "STach": {"rhythm": "tachy"},
    "SA": {"rhythm": "arrhythmia"},
    "AF": {"rhythm": "AF"},
    "AFL": {"rhythm": "AFL"},
    "PAF": {"rhythm": "PAF"},
    "PAC": {"rhythm": "PAC"},
    "PVC": {"rhythm": "PVC"},
    "VBig": {"rhythm": "bigeminy"},
    "VTrig": {"rhythm": "trigeminy"},
    "IAVB": {"av_block": 1.0},
    "MoI": {"rhythm": "Wenckebach"},
    "LBBB": {"conduction": {"LBBB": 1.0}},
    "RBBB": {"conduction": {"RBBB": 1.0}},
    "IRBBB": {"conduction": {"IRBBB": 1.0}},
    "LAD": {"left_axis": 1.0},
    "LQRSV": {"low_voltage": 1.0},
    "LQT": {"long_qt": 1.0},
    "STE": {"st_elevation": 1.0},
    "STD": {"st_depression": 1.0},
    "TInv": {"t_inversion": 1.0},
}


def settings_for(diagnosis: str, **more: object) -> GeneratorConfig:
    """A configuration whose records show one diagnosis alone, as far as it can stand alone."""
    return GeneratorConfig(**{**_NOTHING_ELSE, **_SHOWING[diagnosis], **more})  # type: ignore[arg-type]


def example_of_each_class(seed: int = 0, **more: object) -> Iterator[tuple[str, Simulated]]:
    """One record of every diagnosis the generator knows; `more` are fields of `GeneratorConfig`."""
    for diagnosis in _SHOWING:
        found = next(
            one for one in simulate_records(200, seed, settings_for(diagnosis, **more)) if diagnosis in one.classes
        )
        yield diagnosis, found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m edgeconv.models.ecg_mamba.generate", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="OUT", help="made when missing; must hold no records")
    parser.add_argument("--records", type=int, default=4000, metavar="N", help="records (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same records (default: %(default)s)")
    parser.add_argument("--noise", type=float, default=1.0, metavar="X", help="factor on all noise (default: 1)")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw one record of each diagnosis there")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.plots:
            from edgeconv.models.ecg_mamba.plots import plot_sheet

            examples = example_of_each_class(chosen.seed, noise=chosen.noise)
            plot_sheet([(f"{name}: {', '.join(one.classes)}", one.record) for name, one in examples], chosen.plots)
        print(write_folder(chosen.folder, chosen.records, chosen.seed, GeneratorConfig(noise=chosen.noise)).text())
    except EdgeconvError as error:
        print(f"generate: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
