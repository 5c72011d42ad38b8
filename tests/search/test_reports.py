"""Reports: front.json holds the front, and the page's points can be clicked to their genome."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgeconv.models.pulse.space import ELASTIC, pulse_space
from edgeconv.quantize import QuantPolicy
from edgeconv.search.evolution import distinct_samples
from edgeconv.search.fronts import front_of
from edgeconv.search.problem import Evaluated, Metric, Problem
from edgeconv.search.reports import write_reports
from edgeconv.search.session import Session, Settings

pytestmark = pytest.mark.needs_torch

# Two counted figures that pull in opposite directions: no training is needed for a front of several points.
METRICS = (Metric("mac_bits", "", "binary products"), Metric("slack", "", "missing <bits> of weights"))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    problem = Problem(pulse_space(), METRICS)
    evaluated: list[Evaluated] = []
    for genome in distinct_samples(pulse_space(), 40, np.random.default_rng(4)):
        layers = ELASTIC.layers(pulse_space().values(genome))
        weights = sum(layer.weights * layer.weight_bits for layer in layers)
        evaluated.append(Evaluated(genome, {"mac_bits": sum(la.mac_bits for la in layers), "slack": 1e6 / weights}))
    cardinalities = pulse_space().cardinalities
    evaluated.append(Evaluated(pulse_space().repair(0 * cardinalities), None))
    evaluated.append(Evaluated(pulse_space().repair(cardinalities - 1), None, {"mac_bits": 1e9}))
    settings = Settings("pulse", objectives=("mac_bits", "slack"))
    written = Session(tmp_path_factory.mktemp("report"), settings, problem, (tuple(evaluated),))
    write_reports(written)
    return written


def test_front_json_holds_the_front_in_values_and_words(session: Session) -> None:
    document = json.loads((session.folder / "front.json").read_text())
    front = front_of(session.problem, session.evaluated)
    assert len(front) > 2
    assert [tuple(point["genome"]) for point in document["front"]] == [e.genome for e in front]
    assert [point["metrics"] for point in document["front"]] == [e.metrics for e in front]
    assert document["evaluations"] == 42
    assert (document["failed"], document["ended_early"]) == (1, 1)
    space = session.problem.space
    for point in document["front"]:
        assert space.genome(point["values"]) == space.parse(point["text"]) == tuple(point["genome"])


def test_every_point_of_the_front_has_a_policy_with_its_bits(session: Session) -> None:
    front = front_of(session.problem, session.evaluated)
    files = sorted((session.folder / "policies").iterdir())
    assert len(files) == len(front)
    values = session.problem.space.values(front[0].genome)
    policy = QuantPolicy.from_toml(session.folder / "policies" / "point0.toml")
    assert policy.bits_of("convs.0").weight_bits == values["conv1.weights"]
    assert policy.bits_of("relus.1").activation_bits == values["conv2.activations"]
    assert policy.bits_of("readout").weight_bits == values["readout.weights"]


def test_the_plot_is_a_png(session: Session) -> None:
    assert (session.folder / "front.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


CLICK = """<script>
const dot = document.querySelector("circle.front");
dot.scrollIntoView();
const place = dot.getBoundingClientRect();
const hit = document.elementFromPoint(place.x + place.width / 2, place.y + place.height / 2);
const seen = { circles: document.querySelectorAll("circle").length, before: genome.textContent };
hit.dispatchEvent(new MouseEvent("click", { bubbles: true }));
seen.index = Number(hit.dataset.index);
seen.after = genome.textContent;
seen.rows = document.querySelectorAll("#front tr").length;
document.getElementById("y").selectedIndex = 0;
document.getElementById("y").dispatchEvent(new Event("change"));
seen.redrawn = document.querySelectorAll("circle").length;
document.body.innerHTML = "<pre>" + btoa(unescape(encodeURIComponent(JSON.stringify(seen)))) + "</pre>";
</script></html>"""


@pytest.mark.needs_chromium
def test_a_point_of_the_page_that_is_clicked_shows_its_genome(session: Session, tmp_path: Path) -> None:
    import base64
    import re

    page = (session.folder / "report.html").read_text()
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")  # nothing is loaded from anywhere
    (tmp_path / "page.html").write_text(page.replace("</html>", CLICK))
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile",
        "--virtual-time-budget=5000", "--dump-dom", f"file://{tmp_path}/page.html",
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    found = re.search(r"<pre>([^<]+)</pre>", dom)
    assert found, dom[-2000:]
    seen = json.loads(base64.b64decode(found[1]))
    done = [e for e in session.evaluated if e.metrics]
    clicked = done[seen["index"]]
    assert seen["circles"] == seen["redrawn"] == len(done)
    assert seen["before"] == "Click a point."
    assert seen["after"].startswith(session.problem.space.text(clicked.genome) + "\nmac_bits: ")
    front = front_of(session.problem, session.evaluated)
    assert clicked.genome in [e.genome for e in front]
    assert seen["rows"] == len(front) + 1
