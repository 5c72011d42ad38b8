"""What a call of the array needs, as one string that a library can carry: the image, and the host's parts."""

from __future__ import annotations

import base64
import io
import json
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edgeconv.errors import ArtifactError
from edgeconv.hw.compiler import NetworkImage, image_from_bytes
from edgeconv.hw.ends import Ends
from edgeconv.hw.relax.compile import CompiledRegion
from edgeconv.ir import Program
from edgeconv.ir.storage import load_program, save_program

__all__ = ["Package", "TensorPlace", "package_from_text"]

_VERSION = 1
_DATE = (1980, 1, 1, 0, 0, 0)
_PARTS = ("front", "core", "back")


@dataclass(frozen=True)
class TensorPlace:
    """A tensor of a call: its name in the program, the shape of one sample, and the numpy dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, eq=False)
class Package:
    """A compiled region as it is called.

    Attributes:
        symbol: of the function that calls it.
        inputs, outputs: in the order of its arguments.
    """

    symbol: str
    inputs: tuple[TensorPlace, ...]
    outputs: tuple[TensorPlace, ...]
    image: NetworkImage
    ends: Ends

    @staticmethod
    def of(symbol: str, compiled: CompiledRegion) -> Package:
        """The package of a region."""
        program, network = compiled.program, compiled.network
        return Package(
            symbol,
            _places(program, list(program.inputs)),
            _places(program, program.outputs),
            network.image,
            network.ends,
        )

    def to_text(self) -> str:
        """The package as letters, digits and a few signs; equal packages give equal text."""
        header = {
            "version": _VERSION,
            "symbol": self.symbol,
            "inputs": [asdict(place) for place in self.inputs],
            "outputs": [asdict(place) for place in self.outputs],
        }
        stream = io.BytesIO()
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            _write(archive, "package.json", json.dumps(header).encode())
            _write(archive, "network.img", self.image.to_bytes())
            for part in _PARTS:
                program = getattr(self.ends, part)
                if program is not None:
                    place = Path(folder, part)
                    place.mkdir()
                    save_program(program, place)
                    for path in sorted(place.iterdir()):
                        _write(archive, f"{part}/{path.name}", path.read_bytes())
        return base64.b64encode(stream.getvalue()).decode()


def _places(program: Program, names: Sequence[str]) -> tuple[TensorPlace, ...]:
    types = program.types
    return tuple(TensorPlace(name, types[name].shape, types[name].dtype.container.name) for name in names)


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, date_time=_DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)


def package_from_text(text: str) -> Package:
    """Read what `to_text` gave.

    Raises:
        ArtifactError: it is damaged, or of another version.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(text, validate=True))) as archive:
            header = json.loads(archive.read("package.json"))
            if header["version"] != _VERSION:
                raise ValueError(f"version {header['version']}, {_VERSION} expected")
            image = image_from_bytes(archive.read("network.img"), "network.img")
            with tempfile.TemporaryDirectory() as folder:
                archive.extractall(folder)
                programs = {part: load_program(Path(folder, part)) for part in _PARTS if Path(folder, part).is_dir()}
        places = {
            key: tuple(TensorPlace(p["name"], tuple(p["shape"]), p["dtype"]) for p in header[key])
            for key in ("inputs", "outputs")
        }
        ends = Ends(programs.get("front"), programs["core"], programs.get("back"))
        return Package(header["symbol"], places["inputs"], places["outputs"], image, ends)
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            f"the code of a composite is damaged: {error}", advice="compile the module again"
        ) from error
