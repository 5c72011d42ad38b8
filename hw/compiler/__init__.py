"""Program to accelerator: passes, memory, schedule, image."""

from edgeconv.hw.compiler.build import CompiledNetwork, compile_network
from edgeconv.hw.compiler.image import ArrayRun, LayerCycles, NetworkImage, image_from_bytes

__all__ = ["ArrayRun", "CompiledNetwork", "LayerCycles", "NetworkImage", "compile_network", "image_from_bytes"]
