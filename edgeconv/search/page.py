"""The template of report.html: a scatter plot in SVG drawn by a script of its own, without any library."""

from __future__ import annotations

from string import Template

__all__ = ["PAGE"]

PAGE = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>$title</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em; color: #222; }
svg { width: 100%; height: auto; }
circle { fill: #bbb; cursor: pointer; }
circle.front { fill: #1f6fb2; }
circle.chosen { stroke: #d33; stroke-width: 3; }
text { font-size: 13px; fill: #444; }
#genome { white-space: pre-wrap; font-family: ui-monospace, monospace; background: #f4f4f4; padding: .8em; }
td, th { text-align: left; padding: .1em 1.2em .1em 0; }
tr { cursor: pointer; }
</style>
<h1>$title</h1><p>$note</p>
<label>across <select id="x"></select></label> <label>up <select id="y"></select></label>
<svg id="plot" viewBox="0 0 800 460" role="img"></svg>
<h2>Chosen</h2><div id="genome">Click a point.</div>
<h2>Front</h2><table id="front"></table>
<script>
const data = $data;
const plot = document.getElementById("plot"), genome = document.getElementById("genome");
const box = { left: 90, right: 780, top: 15, bottom: 410 };
function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  plot.appendChild(made);
  return made;
}
function scale(name, low, high) {
  const values = data.points.map(p => p.metrics[name]);
  const log = Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 3;
  const map = v => log ? Math.log(v) : v;
  const least = map(Math.min(...values)), most = map(Math.max(...values)), span = (most - least) || 1;
  return v => low + (map(v) - least) / span * (high - low);
}
function choose(index) {
  document.querySelectorAll(".chosen").forEach(c => c.classList.remove("chosen"));
  document.querySelector(`circle[data-index="$${index}"]`).classList.add("chosen");
  const p = data.points[index];
  genome.textContent = p.text + "\\n" + Object.entries(p.shown).map(([k, v]) => k + ": " + v).join("\\n");
  genome.dataset.index = index;
}
function extremes(name) {
  const sorted = [...data.points].sort((a, b) => a.metrics[name] - b.metrics[name]);
  return [sorted[0].shown[name], sorted[sorted.length - 1].shown[name]];
}
function draw() {
  plot.replaceChildren();
  if (!data.points.length) return;
  const nx = document.getElementById("x").value, ny = document.getElementById("y").value;
  const x = scale(nx, box.left, box.right), y = scale(ny, box.bottom, box.top);
  element("line", { x1: box.left, x2: box.right, y1: box.bottom + 8, y2: box.bottom + 8, stroke: "#999" });
  element("line", { x1: box.left - 8, x2: box.left - 8, y1: box.top, y2: box.bottom, stroke: "#999" });
  const [x0, x1] = extremes(nx), [y0, y1] = extremes(ny);
  element("text", { x: box.left, y: box.bottom + 28 }, x0);
  element("text", { x: box.right, y: box.bottom + 28, "text-anchor": "end" }, x1);
  element("text", { x: (box.left + box.right) / 2, y: box.bottom + 44, "text-anchor": "middle" }, nx);
  element("text", { x: box.left - 14, y: box.bottom, "text-anchor": "end" }, y0);
  element("text", { x: box.left - 14, y: box.top + 10, "text-anchor": "end" }, y1);
  element("text", { x: 0, y: 0, "text-anchor": "middle",
                    transform: `translate(20 $${(box.top + box.bottom) / 2}) rotate(-90)` }, ny);
  const order = data.points.map((p, i) => i).sort((a, b) => data.points[a].front - data.points[b].front);
  for (const i of order) {
    const p = data.points[i];
    const dot = element("circle", { cx: x(p.metrics[nx]), cy: y(p.metrics[ny]), r: p.front ? 6 : 4, "data-index": i });
    if (p.front) dot.classList.add("front");
    dot.addEventListener("click", () => choose(i));
  }
}
for (const [id, first] of [["x", 0], ["y", Math.min(1, data.axes.length - 1)]]) {
  const select = document.getElementById(id);
  data.axes.forEach(axis => select.add(new Option(axis.name + " (" + axis.summary + ")", axis.name)));
  select.selectedIndex = first;
  select.addEventListener("change", draw);
}
const table = document.getElementById("front");
const head = table.insertRow();
[...data.axes.map(a => a.name), "network"].forEach(name => {
  head.appendChild(document.createElement("th")).textContent = name;
});
data.points.forEach((p, i) => {
  if (!p.front) return;
  const row = table.insertRow();
  data.axes.forEach(axis => { row.insertCell().textContent = p.shown[axis.name]; });
  row.insertCell().textContent = p.text;
  row.addEventListener("click", () => choose(i));
});
draw();
</script></html>
""")
