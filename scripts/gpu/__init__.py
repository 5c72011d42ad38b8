"""What `scripts/gpu_check.sh` runs on a machine with an NVIDIA GPU."""
