"""The shell scripts that run on the device: POSIX sh, and what every Linux has, BusyBox included.

Each says what it found or did in lines `edgeconv:NAME=VALUE`, so that greetings of the user's shell do not matter.
"""

from __future__ import annotations

__all__ = ["INSTALL", "NOT_AN_ARTIFACT", "PROBE", "REMOVE", "SELF_TEST_FAILED", "SUMS"]

NOT_AN_ARTIFACT, SELF_TEST_FAILED = 20, 21
"""Exit statuses."""
SUMS = ".sha256sums"
"""A file that is sent last, checked, and removed."""

_COMMON = """set -eu
say() { echo "edgeconv:$1=$2"; }
target=$1
parent=$(dirname -- "$target")
name=$(basename -- "$target")
part=$parent/.$name.edgeconv-part
old=$target.old
if [ -e "$target" ] && [ ! -f "$target/manifest.json" ]; then exit 20; fi
"""

PROBE = (
    _COMMON
    + """say machine "$(uname -m)"
say system "$(uname -s)"
say bits "$(getconf LONG_BIT 2>/dev/null || echo 64)"
say cores "$(nproc 2>/dev/null || echo 1)"
if [ -r /proc/device-tree/model ]; then say model "$(tr -d '\\000' < /proc/device-tree/model)"
else say model "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)"; fi
while [ ! -d "$parent" ]; do parent=$(dirname -- "$parent"); done
say free_kb "$(df -Pk -- "$parent" | tail -n 1 | awk '{print $4}')"
if [ -e "$target" ]; then say replaces yes; else say replaces no; fi
"""
)
"""$1 the folder: what machine it is, and what is there."""

# The trap removes the part whatever ends the script early: a cut connection ends tar, and with it the script.
INSTALL = (
    _COMMON
    + """keep=$2 rounds=$3 threads=$4
shift 4
mkdir -p -- "$parent"
rm -rf -- "$part"
trap 'rm -rf -- "$part"' EXIT
trap 'exit 1' HUP INT TERM PIPE
mkdir -- "$part"
say stage copying
tar -xf - -C "$part"
(cd "$part" && sha256sum -c .sha256sums >/dev/null)
rm -- "$part/.sha256sums"
sync
say stage copied
"$part/edge-run" --self-test "$part/golden" --threads "$threads" || exit 21
say stage tested
if [ -e "$target" ]; then rm -rf -- "$old"; mv -- "$target" "$old"; fi
if ! mv -- "$part" "$target"; then
  if [ -e "$old" ]; then mv -- "$old" "$target"; fi
  exit 1
fi
trap - EXIT
say stage installed
if [ "$keep" = no ]; then rm -rf -- "$old"; fi
for batch in "$@"; do "$target/edge-run" --bench "$rounds" --batch "$batch" --threads "$threads"; done
say stage timed
"""
)
"""Standard input a tar archive; $1 the folder, $2 whether to keep the old one, $3 rounds of the benchmark, $4 threads,
then the batches."""

REMOVE = (
    _COMMON
    + """if [ -e "$target" ]; then say removed yes; else say removed no; fi
rm -rf -- "$target" "$part"
if [ -f "$old/manifest.json" ]; then rm -rf -- "$old"; fi
"""
)
"""$1 the folder: it goes, with what deployments left beside it."""
