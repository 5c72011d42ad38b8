#!/usr/bin/env bash
# Everything that only a machine with an NVIDIA GPU can check, in less than eight minutes: the benchmark networks and a
# thousand random graphs equal the reference on the GPU, compute-sanitizer finds nothing, and tables of times.
#
#     scripts/gpu_check.sh [FOLDER]        # artifacts and tables go there (build/gpu)
#
# Needs the driver, nvcc (pip install 'edgeconv[cuda]' or NVIDIA's toolkit), gcc, and for the tables torch with CUDA.
# compute-sanitizer is run where it is installed; what is left out is said at the end.
set -uo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
[ -x "$PYTHON" ] || PYTHON=python3
OUT=${1:-build/gpu}
mkdir -p "$OUT"
started=$SECONDS
failed=() skipped=()

say() { echo "== $1 (after $((SECONDS - started)) s)"; }
check() { local name=$1; shift; say "$name"; "$@" || failed+=("$name"); }

nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total --format=csv || { echo "no GPU: nothing to check"; exit 4; }
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
cat >"$OUT/here.toml" <<END
description = "the GPU of this machine"
family = "cuda"
triple = "$(uname -m)-linux-gnu"
architectures = ["sm_$capability"]
run = "in-process"
END

say "benchmark networks"
$PYTHON scripts/bench_networks.py "$OUT" || failed+=("benchmark networks")
for name in pulse ecg wave depth; do
  check "compile $name" $PYTHON -m edgeconv compile "$OUT/$name.u8s8.onnx" --target "$OUT/here.toml" -o "$OUT/$name.edge" -q
  # The reference takes about a second for 100 million multiply-accumulates.
  samples=$([ "$name" = pulse ] && echo 5000 || echo 6)
  check "verify $name" $PYTHON -m edgeconv verify "$OUT/$name.edge" --samples "$samples"
done

check "random graphs" $PYTHON -m scripts.gpu.random_graphs --graphs 1000 --seconds 120

if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck; do
    check "compute-sanitizer $tool" timeout 40 compute-sanitizer --tool "$tool" --error-exitcode 9 --require-cuda-init no \
      $PYTHON "$OUT/pulse.edge/edge_runtime.py"
  done
else
  skipped+=("compute-sanitizer is not installed")
fi

if $PYTHON -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  check "times" timeout 120 $PYTHON -m scripts.gpu.bench "$OUT" -o "$OUT/results.md"
else
  skipped+=("torch with CUDA is not installed: no times")
fi

echo
for line in "${skipped[@]}"; do echo "left out: $line"; done
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}"
  exit 1
fi
echo "all that was run is right; $((SECONDS - started)) s, tables in $OUT/results.md"
