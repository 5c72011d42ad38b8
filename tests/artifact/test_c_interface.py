"""The library as a C program sees it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgeconv.artifact import read
from tests.artifact.double import built

pytestmark = pytest.mark.needs_gcc

_STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1")


def _build(tmp_path: Path, source: Path, *options: str, compiler: str = "gcc") -> Path:
    artifact = built()
    program = tmp_path / "program"
    library = [f"-L{artifact / 'lib'}", "-ldouble", f"-Wl,-rpath,{artifact / 'lib'}"]
    include = f"-I{artifact / 'include'}"
    subprocess.run([compiler, *options, include, str(source), *library, "-lm", "-o", str(program)], check=True)
    return program


def test_the_example_compiles_and_runs(tmp_path: Path) -> None:
    program = _build(tmp_path, built() / "include" / "example.c", *_STRICT)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout == "instruction set avx2, output 0 of the first sample: 0 0 0 0 0 0 0 0\n"


def test_the_headers_are_cpp_too(tmp_path: Path) -> None:
    source = tmp_path / "main.cpp"
    source.write_text('#include "double.h"\nint main() { edge_ctx ctx = EDGE_CTX_INIT; return edge_init(&ctx); }\n')
    program = _build(tmp_path, source, "-Wall", "-Wextra", "-Werror", compiler="g++")
    assert subprocess.run([program], check=False).returncode == 0


def test_the_library_needs_no_other_library() -> None:
    library = read(built()).library
    done = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True)
    assert "NEEDED" not in done.stdout
    done = subprocess.run(["nm", "-D", library], capture_output=True, text=True, check=True)
    symbols = [line.split() for line in done.stdout.splitlines()]
    exported = sorted(parts[2] for parts in symbols if parts[1] == "T")
    assert exported == [
        "edge_check", "edge_init", "edge_isa_name", "edge_python_call", "edge_python_ready", "edge_run",
        "edge_strerror", "edge_team_helpers", "edge_team_init", "edge_team_serve", "edge_team_stop",
    ]  # fmt: skip
    assert {parts[0] for parts in symbols if len(parts) == 2} <= {"w"}, "undefined symbols are Python's weak ones"


_ERRORS = """
#include <stdio.h>
#include <stdint.h>
#include "double.h"
static _Alignas(64) unsigned char scratch[EDGE_SCRATCH_BYTES + 64];
int main(void) {
    float x[8] = {0}, y[8];
    const void *in[] = {x}, *none[] = {NULL};
    void *out[] = {y};
    edge_ctx ctx = EDGE_CTX_INIT, fresh = EDGE_CTX_INIT, old = EDGE_CTX_INIT, odd = EDGE_CTX_INIT;
    old.abi_version = 7;
    odd.isa = EDGE_ISA_NEON;
    printf("%d %d %d %d\\n", edge_init(&ctx), edge_init(&old), edge_init(&odd), edge_init(NULL));
    printf("%d ", edge_run(&fresh, in, out, scratch, 1));
    printf("%d ", edge_run(&ctx, in, out, scratch + 1, 1));
    printf("%d ", edge_run(&ctx, in, out, NULL, 1));
    printf("%d ", edge_run(&ctx, none, out, scratch, 1));
    printf("%d ", edge_run(&ctx, in, out, scratch, -1));
    printf("%d ", edge_run(&ctx, in, out, scratch, 0));
    printf("%d\\n", edge_run(&ctx, in, out, scratch, 1));
    x[3] = 0.0f / x[0];
    printf("%d %d\\n", edge_check(in, 1, 0), edge_check(in, 1, 1));
    for (int status = 1; status > -10; status--) printf("%s\\n", edge_strerror(status));
    return 0;
}
"""


def test_wrong_calls_get_their_status(tmp_path: Path) -> None:
    source = tmp_path / "errors.c"
    source.write_text(_ERRORS)
    done = subprocess.run([_build(tmp_path, source)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[:3] == ["0 -1 -2 -4", "-3 -5 -5 -4 -4 0 0", "-7 0"]
    assert len(set(lines[4:12])) == 8, "every status has a text of its own"
    assert lines[3] == lines[12] == "unknown status"


_ROUNDING = """
#include <immintrin.h>
#include <stdio.h>
#include <string.h>
#include "double.h"
static _Alignas(64) unsigned char scratch[EDGE_SCRATCH_BYTES];
int main(void) {
    /* Ties, and values that every rounding mode takes elsewhere. */
    float x[8] = {0.25f, 0.75f, -0.25f, -0.75f, 1.2f, -1.2f, 63.3f, -0.1f}, expected[8], y[8];
    const void *in[] = {x};
    void *out[] = {y};
    edge_ctx ctx = EDGE_CTX_INIT;
    int different = 0, changed = 0;
    edge_init(&ctx);
    edge_run(&ctx, in, out, scratch, 1);
    memcpy(expected, y, sizeof y);
    for (int mode = 0; mode < 4; mode++)
        for (int flush = 0; flush < 4; flush++) {
            unsigned state = 0x1F80u | (unsigned)mode << 13 | (flush & 1 ? 0x8000u : 0) | (flush & 2 ? 0x40u : 0);
            _mm_setcsr(state);
            edge_run(&ctx, in, out, scratch, 1);
            unsigned after = _mm_getcsr();
            _mm_setcsr(0x1F80);
            different += memcmp(expected, y, sizeof y) != 0;
            changed += (after & 0xFFC0u) != state;
        }
    _mm_setcsr(0x1F00); /* invalid operations would now raise a signal */
    x[0] = 1e30f;
    edge_run(&ctx, in, out, scratch, 1);
    printf("%d %d %g %g\\n", different, changed, expected[0], expected[1]);
    return 0;
}
"""


def test_the_hosts_float_state_changes_no_result_and_is_restored(tmp_path: Path) -> None:
    source = tmp_path / "rounding.c"
    source.write_text(_ROUNDING)
    done = subprocess.run([_build(tmp_path, source)], capture_output=True, text=True, check=True)
    assert done.stdout == "0 0 0 1\n"


_TEAM = """
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "double.h"
enum { N = 101, THREADS = 4 };
static _Alignas(64) unsigned char scratch[THREADS * EDGE_SCRATCH_BYTES];
static edge_team team;
static void *serve(void *unused) { return (void *)(intptr_t)edge_team_serve(&team); }
int main(void) {
    static float x[8 * N], alone[8 * N], shared[8 * N];
    const void *in[] = {x};
    void *out[] = {alone}, *shared_out[] = {shared};
    pthread_t helpers[THREADS - 1];
    edge_ctx ctx = EDGE_CTX_INIT;
    int wrong = 0;
    for (int i = 0; i < 8 * N; i++) x[i] = 0.25f * (float)(i % 97) - 10;
    edge_init(&ctx);
    edge_run(&ctx, in, out, scratch, N);
    ctx.threads = THREADS;
    ctx.team = &team;
    for (int round = 0; round < 3; round++) {
        edge_team_init(&team);
        /* Called at once: whoever has come by then helps. */
        for (int i = 0; i < THREADS - 1; i++) pthread_create(&helpers[i], NULL, serve, NULL);
        for (int call = 0; call < 1000; call++) {
            memset(shared, 0xAB, sizeof shared);
            wrong += edge_run(&ctx, in, shared_out, scratch, N) != 0 || memcmp(alone, shared, sizeof shared) != 0;
        }
        printf("%u ", edge_team_helpers(&team));
        edge_team_stop(&team);
        for (int i = 0; i < THREADS - 1; i++) {
            void *status;
            pthread_join(helpers[i], &status);
            wrong += status != NULL;
        }
        wrong += edge_run(&ctx, in, shared_out, scratch, N) != 0; /* without helpers */
    }
    printf("%d\\n", wrong);
    return 0;
}
"""


def test_a_team_of_the_callers_threads(tmp_path: Path) -> None:
    source = tmp_path / "team.c"
    source.write_text(_TEAM)
    done = subprocess.run([_build(tmp_path, source, "-pthread")], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "0"
