"""Artifacts on other machines over ssh: copy, check, put in place, time, remove (docs/raspberry-pi.md)."""

from edgeconv.deploy.deployment import DeployReport, Machine, RemoteTiming, deploy, remove
from edgeconv.deploy.ssh import Destination

__all__ = ["DeployReport", "Destination", "Machine", "RemoteTiming", "deploy", "remove"]
