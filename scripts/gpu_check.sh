#!/usr/bin/env bash
# Everything that only a machine with an NVIDIA GPU can check, in less than eight minutes: the benchmark networks and a
# thousand random graphs equal the reference on the GPU, compute-sanitizer finds nothing, artifacts run where there is
# only Python and numpy, and tables of times.
#
#     scripts/gpu_check.sh [FOLDER]        # artifacts and tables go there (build/gpu)
#
# Needs the driver, nvcc (pip install 'edgeconv[cuda]' or NVIDIA's toolkit), gcc, and to compare with it torch with CUDA.
# compute-sanitizer is run where it is installed; what is left out is said at the end. Most of the time is compilation:
# it is meant for eight cores and more.
set -uo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
[ -x "$PYTHON" ] || PYTHON=python3
OUT=${1:-build/gpu}
NETWORKS="pulse depth ecg wave"
mkdir -p "$OUT"
started=$SECONDS
failed=() skipped=()

say() { echo "== $1 (after $((SECONDS - started)) s)"; }
check() { local name=$1; shift; say "$name"; "$@" || failed+=("$name"); }

nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total --format=csv || { echo "no GPU: nothing to check"; exit 4; }
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1)
cat >"$OUT/here.toml" <<END
description = "the GPU of this machine"
family = "cuda"
triple = "$(uname -m)-linux-gnu"
architectures = ["sm_$capability"]
run = "in-process"
END

# Compile a network and compare it with the reference, which takes a second for 100 million multiply-accumulates.
network() {
  local samples=6
  [ "$1" = pulse ] && samples=5000
  $PYTHON -m edgeconv compile "$OUT/$1.u8s8.onnx" --target "$OUT/here.toml" -o "$OUT/$1.edge" -q &&
    $PYTHON -m edgeconv verify "$OUT/$1.edge" --samples "$samples"
}

check "benchmark networks" $PYTHON scripts/bench_networks.py "$OUT"
say "compile and verify $NETWORKS, side by side"
jobs=()
for name in $NETWORKS; do
  network "$name" >"$OUT/$name.log" 2>&1 &
  jobs+=("$name:$!")
done
for job in "${jobs[@]}"; do
  wait "${job#*:}" && tail -1 "$OUT/${job%:*}.log" && continue
  failed+=("compile and verify ${job%:*}")
  tail -5 "$OUT/${job%:*}.log"
done

for name in pulse depth; do
  check "$name from arrays on the GPU" $PYTHON -m scripts.gpu.arrays "$OUT/$name.edge"
  check "$name without edgeconv and TVM" $PYTHON -m scripts.gpu.bare "$OUT/$name.edge"
done
check "random graphs" $PYTHON -m scripts.gpu.random_graphs --graphs 1000 --seconds 120

sanitizer=$(command -v compute-sanitizer || ls "${CUDA_HOME:-/usr/local/cuda}/bin/compute-sanitizer" 2>/dev/null)
if [ -n "$sanitizer" ]; then
  for case in memcheck:pulse racecheck:pulse memcheck:depth; do
    check "compute-sanitizer $case" timeout 40 "$sanitizer" --tool "${case%:*}" --error-exitcode 9 --require-cuda-init no \
      $PYTHON "$OUT/${case#*:}.edge/edge_runtime.py"
  done
else
  skipped+=("compute-sanitizer is not installed")
fi

$PYTHON -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null ||
  skipped+=("torch with CUDA is not installed: no times beside ours")
check "times" timeout 170 $PYTHON -m scripts.gpu.bench "$OUT" -o "$OUT/results.md" --driver "$driver" --seconds 110

echo
for line in "${skipped[@]}"; do echo "left out: $line"; done
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}"
  exit 1
fi
echo "all that was run is right; $((SECONDS - started)) s, tables in $OUT/results.md"
