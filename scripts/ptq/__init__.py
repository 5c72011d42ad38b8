"""Post-training quantization tried on architectures that are not this project's own."""
