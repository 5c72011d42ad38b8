"""A real ssh server on the loopback interface, with keys, home and programs of its own, and a cable that can be cut."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Cable", "Server", "sshd_command", "start"]


def sshd_command() -> str | None:
    """Path of sshd, which is not on every user's search path; it has to be called by its full name."""
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A running server.

    Attributes:
        folder: keys, configuration and log.
        home: where logins start.
        programs: come first on the search path of logins; a script here stands for a program of another machine.
        process: sshd.
    """

    folder: Path
    port: int
    home: Path
    programs: Path
    process: subprocess.Popen[bytes]
    fakes: list[Path] = field(default_factory=list)

    def options(self, port: int | None = None, key: str = "key", hosts: str = "hosts") -> list[str]:
        """Options of the client: this server's port and keys, nothing of the user's configuration."""
        return [
            "-F", "none", "-p", str(port or self.port), "-i", str(self.folder / key),
            "-o", f"UserKnownHostsFile={self.folder / hosts}", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
        ]  # fmt: skip

    def fake(self, name: str, script: str) -> None:
        """Let a shell script stand for a program on the server, until `real_again`."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        self.fakes.append(path)

    def real_again(self) -> None:
        """Remove all that `fake` put there."""
        while self.fakes:
            self.fakes.pop().unlink(missing_ok=True)


def start(folder: Path) -> Server:
    """Start sshd on a port of its own, with a host key, one user key that it knows, and one that it does not."""
    command, port, home, programs = sshd_command(), _free_port(), folder / "home", folder / "programs"
    assert command is not None
    home.mkdir()
    programs.mkdir()
    for name in ("host_key", "key", "unknown_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copyfile(folder / "key.pub", folder / "authorized_keys")
    host = (folder / "host_key.pub").read_text().split()[:2]
    (folder / "hosts").write_text(f"[127.0.0.1]:* {' '.join(host)}\n")
    (folder / "no_hosts").write_text("")
    other = (folder / "unknown_key.pub").read_text().split()[:2]
    (folder / "changed_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(other)}\n")
    # Logins start in a home of the test's own.
    login = f'cd {home} && PATH={programs}:$PATH && export PATH && eval "$SSH_ORIGINAL_COMMAND"'
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host_key'}\nPidFile none\n"
        f"AuthorizedKeysFile {folder / 'authorized_keys'}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
        f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nForceCommand {login}\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd of root insists on it
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([command, "-D", "-e", "-f", str(folder / "config")], stderr=log)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return Server(folder, port, home, programs, process)
        except OSError:
            time.sleep(0.05)
    process.kill()
    raise RuntimeError((folder / "log").read_text())


class Cable:
    """A port that leads to the server's and is cut once a connection has sent so many bytes.

    Args:
        limits: for each connection in turn the bytes from client to server that pass, None for all.
    """

    def __init__(self, server: Server, limits: list[int | None]) -> None:
        self._to, self._limits = server.port, limits
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        for limit in self._limits:
            client, _ = self._socket.accept()
            server = socket.create_connection(("127.0.0.1", self._to))
            threading.Thread(target=self._pass, args=(client, server, limit), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, None), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                sink.sendall(data)
                passed += len(data)
                if limit is not None and passed > limit:
                    break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
