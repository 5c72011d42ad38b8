"""Scripts on another machine through the system's ssh, which knows the user's keys, hosts and configuration."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from edgeconv.errors import DeviceError, ToolError, UsageError

__all__ = ["ConnectionLost", "Destination", "Outcome", "run_script"]

_SSH_FAILED = 255  # ssh's own status; the remote command's otherwise
_MARK = "edgeconv:"
# Unanswered for 20 s: a network that is gone, not one that is slow.
_PATIENCE = ("ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=4")


@dataclass(frozen=True)
class Destination:
    """A folder on another machine.

    Attributes:
        host: as ssh takes it, such as `pi@raspberrypi.local`.
        path: of the folder, absolute or from the user's home.
        options: further options for ssh.
    """

    host: str
    path: str
    options: tuple[str, ...] = ()

    @staticmethod
    def parse(text: str, name: str, options: Sequence[str] = ()) -> Destination:
        """`[user@]host[:path]`; an IPv6 address stands in brackets.

        Args:
            name: of the folder, where the text has no path.

        Raises:
            UsageError: no host, or one that ssh would take for an option.
        """
        start = text.index("]") if text.rpartition("@")[2].startswith("[") and "]" in text else 0
        host, _, path = text[start:].partition(":")
        host = (text[:start] + host).replace("[", "").replace("]", "")
        path = path.removeprefix("~/").rstrip("/")
        if not host or host.startswith("-") or any(character.isspace() for character in host):
            raise UsageError(f"destination '{text}'", expected="[user@]host, or [user@]host:path")
        return Destination(host, path or name, tuple(options))

    def __str__(self) -> str:
        return f"{self.host}:{self.path}"


@dataclass(frozen=True)
class Outcome:
    """What a script printed.

    Attributes:
        facts: the last value of each line `edgeconv:NAME=VALUE`.
        lines: the other lines of standard output.
        errors: standard error.
        status: the script's exit status.
    """

    facts: dict[str, str]
    lines: tuple[str, ...]
    errors: str
    status: int


class ConnectionLost(DeviceError):
    """The connection broke while a script ran; `facts` has what it said before."""

    def __init__(self, problem: str, facts: dict[str, str]) -> None:
        super().__init__(problem)
        self.facts = facts


def run_script(
    destination: Destination, script: str, arguments: Sequence[str], data: bytes = b"", *, reached: bool = False
) -> Outcome:
    """Run a POSIX shell script on the machine.

    Args:
        arguments: its $1, $2, …
        data: its standard input.
        reached: whether the machine was reached before: then no connection is a connection that was lost.

    Raises:
        ToolError: there is no ssh here.
        DeviceError: no connection; says why, and what to do. ConnectionLost where there was one.
    """
    if shutil.which("ssh") is None:
        raise ToolError("ssh is not installed", advice="apt-get install openssh-client")
    settings = _PATIENCE if sys.stdin.isatty() else (*_PATIENCE, "BatchMode=yes")
    command = ["ssh", *(word for setting in settings for word in ("-o", setting)), *destination.options]
    # Whatever shell the user has there: sh reads the script, and quotes are the same in all of them.
    remote = shlex.join(["sh", "-c", script, "edgeconv", *arguments])
    done = subprocess.run([*command, "--", destination.host, remote], input=data, capture_output=True, check=False)
    lines, errors = done.stdout.decode(errors="replace").splitlines(), done.stderr.decode(errors="replace").strip()
    marked = [line.removeprefix(_MARK).partition("=") for line in lines if line.startswith(_MARK)]
    facts = {name: value for name, _, value in marked}
    if done.returncode == _SSH_FAILED:
        if facts or reached:
            raise ConnectionLost(f"the connection to {destination.host} broke: {_last_line(errors)}", facts)
        raise _no_connection(destination, errors)
    return Outcome(facts, tuple(line for line in lines if not line.startswith(_MARK)), errors, done.returncode)


def _last_line(text: str) -> str:
    return text.splitlines()[-1] if text else "ssh says nothing"


# What ssh prints -> what to do, with {host} in it; the first that fits.
_ADVICE = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "another machine, or a new system on it? If you know why: ssh-keygen -R {name}, then connect once: ssh {host}",
    ),
    ("Host key verification failed", "connect once with `ssh {host}` and compare the fingerprint with the machine's"),
    ("Permission denied", "ssh-copy-id {host} (once, with the password), or --ssh-option for another key: -i FILE"),
    ("Too many authentication failures", "name the key: --ssh-option '-o IdentitiesOnly=yes' --ssh-option '-i FILE'"),
    ("Could not resolve hostname", "check the name, or take the address that `hostname -I` prints on the machine"),
    ("Connection refused", "start the ssh server there: sudo raspi-config (Interface Options, SSH), or check the port"),
    ("timed out", "is the machine on, and in this network? ping {name}"),
    ("No route to host", "is the machine on, and in this network? ping {name}"),
)


def _no_connection(destination: Destination, errors: str) -> DeviceError:
    name = destination.host.rpartition("@")[2]
    for sign, advice in _ADVICE:
        if sign in errors:
            return DeviceError(
                f"no connection to {destination.host}: {_last_line(errors)}",
                advice=advice.format(host=destination.host, name=name),
            )
    advice = f"`ssh {destination.host} true` must work first"
    return DeviceError(f"no connection to {destination.host}: {_last_line(errors)}", advice=advice)
