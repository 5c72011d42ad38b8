"""`edgeconv deploy` against a real ssh server on the loopback interface."""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeconv.artifact import read
from edgeconv.artifact.manifest import parse_manifest, render_manifest
from edgeconv.artifact.store import file_entries
from edgeconv.cli import main
from edgeconv.deploy import Destination, deploy
from edgeconv.errors import DeviceError, UsageError
from edgeconv.runtime.cpu_features import host_architecture
from tests.artifact.double import built, copied
from tests.deploy.sshd import Cable, Server, start

pytestmark = [pytest.mark.needs_gcc, pytest.mark.needs_sshd]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start(tmp_path_factory.mktemp("sshd"))
    yield server
    server.process.terminate()
    server.process.wait()


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    yield running
    running.real_again()
    subprocess.run(["rm", "-rf", running.home], check=True)
    running.home.mkdir()


def to(server: Server, path: str = "double.edge", **options: object) -> Destination:
    return Destination("127.0.0.1", path, tuple(server.options(**options)))  # type: ignore[arg-type]


def run(server: Server, *arguments: object) -> int:
    options = ["--ssh-option", shlex.join(server.options())]
    return main(["deploy", *map(str, arguments), *options])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(server: Server, artifact: Path | None = None, **options: object) -> str:
    with pytest.raises(DeviceError) as caught:
        deploy(artifact or built(), to(server, **options))
    return str(caught.value)


def rewritten(artifact: Path, **changes: object) -> Path:
    """The artifact with fields of its manifest changed, and valid again."""
    path = artifact / "manifest.json"
    manifest = parse_manifest(path.read_text(encoding="utf-8"), artifact)
    manifest = dataclasses.replace(manifest, **changes, files=file_entries(artifact))  # type: ignore[arg-type]
    path.write_text(render_manifest(manifest), encoding="utf-8")
    return artifact


def test_copy_self_test_times_and_clean_removal(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(server, built(), "127.0.0.1", "--json", "--batch", 1, "--batch", 8, "--rounds", 20) == 0
    report = json.loads(capsys.readouterr().out)
    assert contents(server.home / "double.edge") == contents(built())
    assert read(server.home / "double.edge").executable.is_symlink() == (built() / "edge-run").is_symlink()
    assert (report["passed"], report["replaced"], report["kept"]) == (True, False, None)
    assert report["machine"]["architecture"] == host_architecture()
    assert report["self_test"] == [f"{isa}: 6 samples, every byte as the reference" for isa in ("generic", "avx2")]
    assert [timing["batch"] for timing in report["timings"]] == [1, 8]
    assert all(0 < timing["low"] <= timing["median"] <= timing["high"] for timing in report["timings"])
    assert run(server, built(), "127.0.0.1", "--remove") == 0
    assert "127.0.0.1:double.edge is removed" in capsys.readouterr().out
    assert list(server.home.iterdir()) == []
    assert run(server, built(), "127.0.0.1", "--remove") == 0
    assert "was not there" in capsys.readouterr().out


def test_replacing_and_keeping_the_old_one(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    place = server.home / "models" / "m.edge"
    for options in ([], [], ["--keep-old"], ["--keep-old"]):
        assert run(server, built(), "127.0.0.1:models/m.edge", "--rounds", 1, *options) == 0
    text = capsys.readouterr().out
    assert "the artifact before it is replaced" in text
    assert "the artifact before it is models/m.edge.old" in text
    assert sorted(path.name for path in place.parent.iterdir()) == ["m.edge", "m.edge.old"]
    assert contents(place) == contents(place.with_name("m.edge.old")) == contents(built())
    assert run(server, built(), "127.0.0.1:~/models/m.edge", "--remove") == 0
    assert list(place.parent.iterdir()) == []


@pytest.mark.parametrize("limit", [30_000, 60_000])
def test_a_cut_connection_leaves_the_old_artifact(server: Server, limit: int) -> None:
    old = rewritten(copied(server.home), source={"file": "old.onnx", "sha256": "1" * 64})
    before = contents(old)
    text = refused(server, port=Cable(server, [None, limit]).port)
    assert "the connection to 127.0.0.1 broke" in text
    assert "what was there before is there still" in text
    assert "try: deploy again" in text
    deadline = time.monotonic() + 20
    while len(list(server.home.iterdir())) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [path.name for path in server.home.iterdir()] == ["double.edge"], "the part that was copied is removed"
    assert contents(old) == before
    assert subprocess.run([old / "edge-run", "--self-test", old / "golden"], stdout=subprocess.DEVNULL).returncode == 0


def test_a_part_that_was_left_is_no_obstacle(server: Server) -> None:
    (server.home / ".double.edge.edgeconv-part" / "lib").mkdir(parents=True)
    assert deploy(built(), to(server), rounds=1).passed
    assert [path.name for path in server.home.iterdir()] == ["double.edge"]


def test_a_failed_self_test_replaces_nothing(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = copied(tmp_path)
    y = np.load(wrong / "golden" / "output-0.npy")
    y[3, 0, 0, 1] += 0.5
    np.save(wrong / "golden" / "output-0.npy", y)
    rewritten(wrong)
    old = copied(server.home)
    before = contents(old)
    assert run(server, wrong, "127.0.0.1") == 1
    text = capsys.readouterr().out
    assert "output 'y': 1 of 48 values differ; first in sample 3 at 1" in text
    assert "double.edge was not touched" in text
    assert [path.name for path in server.home.iterdir()] == ["double.edge"]
    assert contents(old) == before


def test_bytes_that_change_on_the_way_are_noticed(server: Server) -> None:
    server.fake("tar", '/bin/tar "$@" && printf x >> "$4/program.txt"')
    assert "program.txt: FAILED" in refused(server) or "did NOT match" in refused(server)
    assert list(server.home.iterdir()) == []


def test_what_is_no_artifact_is_left_alone(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    precious = server.home / "double.edge"
    precious.mkdir()
    (precious / "thesis.tex").write_text("…")
    assert "is not an artifact: it is left alone" in refused(server)
    assert run(server, built(), "127.0.0.1", "--remove") == 4
    assert "is not an artifact: it is left alone" in capsys.readouterr().err
    assert [path.name for path in precious.iterdir()] == ["thesis.tex"]


def test_architectures_that_do_not_fit(server: Server, tmp_path: Path) -> None:
    arm = rewritten(copied(tmp_path), triple="aarch64-linux-gnu")
    assert f"is for aarch64, 127.0.0.1 is {host_architecture()}" in refused(server, arm)
    server.fake("uname", 'if [ "$1" = -m ]; then echo aarch64; else echo Linux; fi')
    text = refused(server)
    assert "is for x86_64, 127.0.0.1 is aarch64" in text
    assert "--target aarch64" in text
    server.fake("getconf", "echo 32")
    text = refused(server, arm)
    assert "127.0.0.1 runs a 32-bit system (aarch64 kernel)" in text
    assert "install the 64-bit Raspberry Pi OS" in text
    server.fake("uname", 'if [ "$1" = -m ]; then echo armv7l; else echo Linux; fi')
    assert "runs a 32-bit system (armv7l)" in refused(server, arm)
    assert list(server.home.iterdir()) == []


def test_a_full_disk_is_seen_before_the_copy(server: Server) -> None:
    server.fake("df", "echo header; echo fs 1 1 512 1% /")
    assert "has 512 KB left, the artifact takes" in refused(server)


def test_keys_hosts_and_ports_that_are_wrong(server: Server) -> None:
    assert "compare the fingerprint" in refused(server, hosts="no_hosts")
    assert "ssh-keygen -R 127.0.0.1" in refused(server, hosts="changed_hosts")
    assert "ssh-copy-id 127.0.0.1" in refused(server, key="unknown_key")
    assert "start the ssh server there" in refused(server, port=1)
    with pytest.raises(DeviceError, match=r"Could not resolve hostname.*\n.*check the name"):
        deploy(built(), dataclasses.replace(to(server), host="no-such-host.invalid"))


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("pi@raspberrypi.local", "pi@raspberrypi.local", "m.edge"),
        ("pi@10.0.0.7:models/x.edge", "pi@10.0.0.7", "models/x.edge"),
        ("board:/opt/x.edge/", "board", "/opt/x.edge"),
        ("pi@[fe80::1]:x.edge", "pi@fe80::1", "x.edge"),
        ("[::1]", "::1", "m.edge"),
    ],
)
def test_destinations(text: str, host: str, path: str) -> None:
    found = Destination.parse(text, "m.edge")
    assert (found.host, found.path) == (host, path)


@pytest.mark.parametrize("text", ["", ":x.edge", "-oProxyCommand=x", "a b"])
def test_destinations_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"\[user@\]host"):
        Destination.parse(text, "m.edge")
