"""The host's end: the protocol, a board behind a serial port or in simulation."""

from edgeconv.hw.host.board import Board, BoardFacts
from edgeconv.hw.host.sample_port import Counters, Event, SamplePort
from edgeconv.hw.host.transport import Transport

__all__ = ["Board", "BoardFacts", "Counters", "Event", "SamplePort", "Transport"]
