"""The frame around all verbs: help, exit codes, errors as messages, JSON, interruption, a reader that goes away."""

from __future__ import annotations

import errno
import importlib
import json
import resource
import shlex
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from edgeconv.cli import main
from edgeconv.cli.console import Console
from edgeconv.cli.options import common_options
from edgeconv.cli.verbs import VERBS, verb_module
from edgeconv.errors import ArtifactError, DeviceError, EdgeconvError, QuantizationError, UsageError

Body = Callable[[Console], int | None]
EDGECONV = [sys.executable, "-m", "edgeconv"]


@pytest.fixture
def run_verb(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a verb `probe` whose body the test gives."""

    def run(body: Body, *arguments: str) -> int:
        module = types.ModuleType(verb_module("probe"))
        module.command = click.command()(common_options(body))  # type: ignore[attr-defined]
        monkeypatch.setitem(VERBS, "probe", "A probe.")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return main(["probe", *arguments])

    return run


def raising(error: BaseException) -> Body:
    def body(console: Console) -> int | None:
        raise error

    return body


def test_help_lists_every_verb_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for verb, line in VERBS.items():
        assert f"  {verb} " in out
        assert line in " ".join(out.split())


@pytest.mark.parametrize("verb", VERBS)
def test_every_listed_verb_has_a_command_with_the_common_options(verb: str) -> None:
    command = importlib.import_module(verb_module(verb)).command
    # A verb with verbs of its own, such as search, has the options on each of them.
    for one in getattr(command, "commands", {verb: command}).values():
        options = {option for parameter in one.params for option in parameter.opts}
        assert {"--json", "--verbose", "--quiet", "--seed"} <= options
    assert command.help, f"the function of verb {verb} needs a docstring: it is its --help"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_prints_its_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: edgeconv {verb}")


@pytest.mark.parametrize("verb", VERBS)
def test_examples_of_every_verb_are_lines_that_it_takes(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    _, heading, text = capsys.readouterr().out.partition("Examples:\n")
    lines = [line.rpartition("| ")[2].strip() for line in text.splitlines() if line.strip()]
    assert heading
    assert len(lines) >= 2
    for line in lines:
        program, *words = shlex.split(line)
        assert (program, words[0]) == ("edgeconv", verb), line
        command, arguments = importlib.import_module(verb_module(verb)).command, words[1:]
        while isinstance(command, click.Group):
            with command.make_context(verb, list(arguments)) as context:
                _, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
        # Unknown options, missing arguments and values of the wrong type raise here.
        command.make_context(verb, list(arguments)).close()


def test_help_imports_no_verb_and_nothing_heavy() -> None:
    code = (
        "import sys; from edgeconv.cli import main; main(['--help']); "
        "heavy = 'numpy onnx onnxruntime tvm tvm_ffi torch rich mpmath packaging'.split(); "
        "print([m for m in sys.modules if m in heavy or m in ('edgeconv.cli.doctor', 'edgeconv.targets')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_is_fast() -> None:
    # The limit is 0.4 s from the shell. It waits for nothing, so its processor time is what a machine with nothing
    # else to do takes; the best of five.
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*EDGECONV, "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.4


def test_no_verb_and_unknown_verbs_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["doctr"]) == 2
    assert "No such verb 'doctr'. Did you mean 'doctor'?" in capsys.readouterr().err
    assert main(["doctor", "--colour"]) == 2
    assert "No such option" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "edgeconv, version 0.1.0\n"


@pytest.mark.parametrize("code", [None, 0, 1, 4])
def test_a_verb_chooses_its_exit_code(run_verb: Callable[..., int], code: int | None) -> None:
    assert run_verb(lambda console: code) == (code or 0)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("bad option"), 2),
        (ArtifactError("not an artifact"), 2),
        (QuantizationError("no scale", expected="one", advice="quantize it"), 3),
        (DeviceError("no GPU"), 4),
    ],
)
def test_an_error_is_a_message_without_traceback(
    run_verb: Callable[..., int], capsys: pytest.CaptureFixture[str], error: EdgeconvError, code: int
) -> None:
    assert run_verb(raising(error)) == code
    captured = capsys.readouterr()
    assert captured.err == f"edgeconv: {error}\n"
    assert captured.out == ""


def test_an_error_is_json_too_when_json_was_asked_for(
    run_verb: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_verb(raising(QuantizationError("no scale", advice="quantize it")), "--json") == 3
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "error": {
            "type": "QuantizationError",
            "problem": "no scale",
            "expected": None,
            "advice": "quantize it",
            "exit_code": 3,
        }
    }
    assert captured.err.startswith("edgeconv: no scale\n")


def test_only_vv_shows_tracebacks(run_verb: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verb(raising(UsageError("bad option")), "-v") == 2
    assert "Traceback" not in capsys.readouterr().err
    assert run_verb(raising(UsageError("bad option")), "-vv") == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_fault_is_not_mistaken_for_a_result(run_verb: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verb(raising(KeyError("weights"))) == 70
    err = capsys.readouterr().err
    assert "fault in edgeconv itself: KeyError: 'weights'" in err
    assert "-vv" in err
    assert "Traceback" not in err


def test_a_full_disk_is_one_clear_line(run_verb: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "pulse.edge")
    assert run_verb(raising(error)) == 2
    assert capsys.readouterr().err == "edgeconv: pulse.edge: No space left on device\n"


def test_a_missing_extra_is_named(run_verb: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verb(raising(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"))) == 4
    assert "pip install 'edgeconv[train]'" in capsys.readouterr().err


def test_interruption_is_one_line(run_verb: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verb(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "\nedgeconv: interrupted\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    # The pipe's reading end is closed before anything is written.
    script = "import os, sys, subprocess; r, w = os.pipe(); os.close(r); "
    script += f"done = subprocess.run({[*EDGECONV, 'targets']!r}, stdout=w, stderr=subprocess.PIPE); "
    script += "print(done.returncode, done.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(128 + signal.SIGPIPE), "b''"]


def test_the_exit_code_reaches_the_shell(tmp_path: Path) -> None:
    done = subprocess.run([*EDGECONV, "targets", str(tmp_path / "none.toml")], capture_output=True, text=True)
    assert done.returncode == 2
    assert "none.toml: No such file or directory" in done.stderr
