"use strict";

// Asks how the runs stand, again and again, and changes what has changed: what is unfolded stays so. All text is put in
// as text, never as markup.

const EVERY = 2000; // milliseconds; while nobody looks:
const SELDOM = 15000;
const STATES = ["done", "cached", "running", "stopped", "failed", "waiting"];
const SIGNS = { done: "✓", cached: "=", running: "▸", stopped: "‖", failed: "✕", waiting: "" };
const HUES = ["#2f6fb0", "#c8553d", "#3b8f5a", "#8a5fb5", "#b58a1b", "#2a9d9d", "#c05a93", "#6b7480"];
const SVG = "http://www.w3.org/2000/svg";

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const element = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const drawn = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// Fills a place again only where its data is other than before: focus, selection and places in scrolled boxes stay.
function show(place, data, make) {
  const text = JSON.stringify(data);
  if (place.shown === text) return;
  place.shown = text;
  place.replaceChildren(...[make(data)].flat().filter((child) => child !== null));
}

function table(lines, numbers = 1) {
  const [header, ...rest] = lines;
  const line = (cells, tag) =>
    element("tr", {}, ...cells.map((cell, n) => element(tag, { class: n >= numbers ? "number" : null }, cell)));
  return [element("thead", {}, line(header, "th")), element("tbody", {}, ...rest.map((cells) => line(cells, "td")))];
}

const scrolled = (name, lines, numbers) =>
  element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": name },
    element("table", {}, ...table(lines, numbers)));

// The graph of stages

const WIDE = 174, GAP = 34, SQUARE = 13, PER_LINE = 10, ROW_GAP = 12;

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function graph({ boxes, stages }) {
  const height = (box) => 26 + Math.ceil(box.stages.length / PER_LINE) * (SQUARE + 3);
  const bottoms = new Map();
  const places = new Map();
  const inRows = boxes.map((box, n) => [box, n]).sort(([a], [b]) => a.row - b.row);
  for (const [box, n] of inRows) {
    const y = bottoms.get(box.column) ?? 0;
    places.set(n, { x: box.column * (WIDE + GAP), y, height: height(box) });
    bottoms.set(box.column, y + height(box) + ROW_GAP);
  }
  const width = Math.max(...boxes.map((box) => box.column)) * (WIDE + GAP) + WIDE + 2;
  const tall = Math.max(...bottoms.values());
  const edges = boxes.flatMap((box, n) => box.needs.map((needed) => edge(places.get(needed), places.get(n))));
  const shapes = boxes.map((box, n) => boxShape(box, places.get(n), stages));
  const about = `${boxes.length} kinds of stages; the table below has each`;
  return drawn("svg", { width, height: tall, viewBox: `-1 -1 ${width} ${tall}`, role: "img", "aria-label": about },
    ...edges, ...shapes);
}

function edge(from, to) {
  const [x, y] = [from.x + WIDE, from.y + from.height / 2];
  const [u, v] = [to.x, to.y + to.height / 2];
  const bend = Math.max(20, (u - x) / 2);
  return drawn("path", { d: `M${x} ${y}C${x + bend} ${y} ${u - bend} ${v} ${u} ${v}` });
}

function boxShape(box, place, stages) {
  const squares = box.stages.flatMap((name, n) => {
    const { title, state } = stages[name];
    const x = place.x + 8 + (n % PER_LINE) * (SQUARE + 2);
    const y = place.y + 22 + Math.floor(n / PER_LINE) * (SQUARE + 3);
    return [
      drawn("rect", { x, y, width: SQUARE, height: SQUARE, rx: 2, class: state },
        drawn("title", {}, `${title}: ${state}`)),
      drawn("text", { x: x + SQUARE / 2, y: y + 10, class: "sign" }, SIGNS[state]),
    ];
  });
  return drawn("g", {},
    drawn("rect", { x: place.x, y: place.y, width: WIDE, height: place.height, rx: 5, class: "box" },
      drawn("title", {}, box.label)),
    drawn("text", { x: place.x + 8, y: place.y + 15 }, cut(box.label, 25)),
    ...squares);
}

const legend = () =>
  element("ul", { class: "legend" }, ...STATES.map((state) => element("li", {}, element("i", { class: state }), state)));

// Curves

function chart({ label, lines }) {
  const all = lines.flatMap(({ points }) => points);
  const kinds = [...new Set(lines.map(({ kind }) => kind))];
  const hue = (kind) => `--hue: ${HUES[kinds.indexOf(kind) % HUES.length]}`;
  const [steps, values] = [all.map(([step]) => step), all.map(([, value]) => value)];
  const [right, low, high] = [Math.max(...steps, 1), Math.min(...values), Math.max(...values)];
  const pad = (high - low || Math.abs(high) || 1) * 0.05;
  const x = (step) => 52 + (step / right) * 580;
  const y = (value) => 226 - ((value - low + pad) / (high - low + 2 * pad)) * 212;
  const marks = [low, (low + high) / 2, high].flatMap((value) => [
    drawn("line", { x1: 52, x2: 632, y1: y(value), y2: y(value), class: "axis" }),
    drawn("text", { x: 46, y: y(value) + 4, "text-anchor": "end" }, value.toPrecision(3)),
  ]);
  const ends = [0, right].map((step) => drawn("text", { x: x(step), y: 244, "text-anchor": "middle" }, String(step)));
  const curves = lines.flatMap(({ title, kind, points }) => {
    const style = hue(kind);
    const at = points.map(([step, value]) => [x(step), y(value)]);
    const [u, v] = at[at.length - 1];
    return [
      drawn("polyline", { points: at.map((pair) => pair.join()).join(" "), style }, drawn("title", {}, title)),
      drawn("circle", { cx: u, cy: v, r: 3, style }, drawn("title", {}, title)),
    ];
  });
  return [
    element("div", { class: "chart" },
      drawn("svg", { viewBox: "0 0 660 262", role: "img", "aria-label": `${label} over steps` },
        ...marks, ...ends, drawn("text", { x: 342, y: 258, "text-anchor": "middle" }, "steps"), ...curves)),
    element("ul", { class: "legend" },
      ...kinds.map((kind) => element("li", {}, element("i", { style: hue(kind) }), kind))),
  ];
}

// Keeps what is chosen as long as it is offered.
function choose(select, options) {
  if (JSON.stringify(options) === select.shown) return;
  const chosen = select.value;
  select.shown = JSON.stringify(options);
  select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
  if (options.some(([value]) => value === chosen)) select.value = chosen;
}

// A run

class Run {
  constructor(name) {
    this.name = name;
    this.summary = element("summary");
    this.content = element("div");
    this.element = element("details", { class: "run", id: `run-${name}`, toggle: () => this.element.open && refresh() },
      this.summary, this.content);
    this.parts = {};
    this.logs = new Map();
  }

  update(run) {
    show(this.summary, [run.name, run.about, run.status, run.counts, run.problem], () => [
      element("h2", {}, run.name),
      element("span", { class: run.problem ? "problem" : "status" }, run.problem ?? run.status),
      run.counts ? this.meter(run.counts) : null,
      run.about ? element("span", { class: "about" }, run.about) : null,
    ]);
    if (run.all) this.updateAll(run, run.all);
  }

  meter(counts) {
    const parts = STATES.filter((state) => counts[state]);
    return element("div", { class: "meter", "aria-hidden": "true" },
      ...parts.map((state) => element("span", { class: state, style: `--count: ${counts[state]}` })));
  }

  part(name, heading) {
    if (!this.parts[name]) {
      const place = element("div", { class: name });
      const section = element("section", {}, heading ? element("h3", {}, heading) : "", place);
      this.parts[name] = { place, section };
      this.content.append(section);
    }
    return this.parts[name];
  }

  updateAll(run, all) {
    const link = this.part("report", null);
    show(link.place, run.report, (there) => there
      ? element("p", {}, element("a", { href: `/report/${encodeURIComponent(run.name)}` }, "Its report"))
      : element("p", {}, "Its report comes when all stages are done."));
    this.list("now", "Running", all.running, (entry) => element("li", {},
      element("strong", {}, entry.title),
      element("progress", { max: 1, value: entry.share ?? null, "aria-label": entry.title }),
      element("span", {}, entry.words)));
    this.updateFailed(all.failed);
    const stages = this.part("stages", "Stages");
    if (!stages.graph) {
      stages.graph = element("div", { class: "graph", tabindex: 0, role: "region", "aria-label": "Graph of stages" });
      stages.lines = element("div");
      stages.place.append(legend(), stages.graph,
        element("details", { class: "lines" }, element("summary", {}, "as a table"), stages.lines));
    }
    show(stages.graph, { boxes: all.boxes, stages: all.stages }, graph);
    show(stages.lines, all.table, (lines) =>
      scrolled("Stages", [["stage", "state", "took", "finished", "folder"], ...lines], 9));
    this.updateCurves(all.curves);
    const results = this.part("results", "Results, with 95 % intervals");
    results.section.hidden = all.results.length === 0;
    show(results.place, all.results, (lines) => (lines.length ? scrolled("Results", lines) : null));
  }

  list(name, heading, entries, make) {
    const part = this.part(name, heading);
    part.section.hidden = entries.length === 0;
    show(part.place, entries, () => element("ul", { class: "now" }, ...entries.map(make)));
  }

  updateFailed(failed) {
    const part = this.part("failed-stages", "Failed");
    part.section.hidden = failed.length === 0;
    for (const [name, log] of this.logs) {
      if (!failed.some((entry) => entry.name === name)) {
        log.remove();
        this.logs.delete(name);
      }
    }
    for (const entry of failed) {
      if (!this.logs.has(entry.name)) {
        this.logs.set(entry.name, element("details", { class: "log", open: true }, element("summary", {}, entry.title),
          element("div")));
        part.place.append(this.logs.get(entry.name));
      }
      show(this.logs.get(entry.name).lastChild, [entry.problem, entry.log], () => [
        element("pre", { tabindex: 0, class: "problem" }, entry.problem),
        entry.log ? element("h4", {}, "The end of its log") : null,
        entry.log ? element("pre", { tabindex: 0 }, entry.log) : null,
      ]);
    }
  }

  updateCurves(curves) {
    const part = this.part("curves", "Curves");
    part.section.hidden = Object.keys(curves).length === 0;
    if (!part.select) {
      part.drawing = element("div");
      part.redraw = () => this.drawCurves(part);
      part.select = element("select", { change: part.redraw });
      part.kind = element("select", { change: part.redraw });
      part.place.append(
        element("div", { class: "controls" }, element("label", {}, "show ", part.select),
          element("label", {}, "of ", part.kind)),
        part.drawing);
    }
    part.curves = curves;
    choose(part.select, Object.entries(curves).map(([name, { label }]) => [name, label]));
    part.redraw();
  }

  drawCurves(part) {
    const measure = part.curves[part.select.value];
    if (!measure) return;
    const kinds = [...new Set(measure.lines.map(({ kind }) => kind))];
    choose(part.kind, [["", "all"], ...kinds.map((kind) => [kind, kind])]);
    const lines = measure.lines.filter(({ kind }) => !part.kind.value || kind === part.kind.value);
    show(part.drawing, { label: measure.label, lines }, chart);
  }
}

// The whole

const runs = new Map();
const byId = (id) => document.getElementById(id);
let timer = null;
let asked = 0;

async function ask(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`the answer was ${answer.status}`);
  return answer.json();
}

async function refresh() {
  clearTimeout(timer);
  const number = ++asked;
  const open = [...runs.values()].filter((run) => run.element.open);
  try {
    const state = await ask(`/state.json?${new URLSearchParams(open.map((run) => ["run", run.name]))}`);
    // An answer that was overtaken says what was.
    if (number !== asked) return;
    update(state);
    await compare();
    byId("told").textContent = state.runs.length ? "" : "There are no runs here yet.";
  } catch (error) {
    byId("told").textContent = `No answer (${error.message}): does w2s-rm view still run? This page asks again.`;
  }
  if (number === asked) timer = setTimeout(refresh, document.hidden ? SELDOM : EVERY);
}

function update(state) {
  byId("folder").textContent = state.folder;
  const names = state.runs.map((run) => run.name);
  for (const [name, run] of runs) {
    if (!names.includes(name)) {
      run.element.remove();
      runs.delete(name);
    }
  }
  state.runs.forEach((entry, n) => {
    if (!runs.has(entry.name)) runs.set(entry.name, new Run(entry.name));
    const run = runs.get(entry.name);
    if (byId("runs").children[n] !== run.element) byId("runs").insertBefore(run.element, byId("runs").children[n] ?? null);
    run.update(entry);
  });
  const whole = state.runs.filter((run) => run.report).map((run) => [run.name, run.name]);
  byId("compare").hidden = whole.length < 2;
  choose(byId("first"), whole);
  const fresh = byId("second").options.length === 0;
  choose(byId("second"), whole);
  if (fresh && whole.length > 1) byId("second").value = whole[1][0];
}

async function compare() {
  if (byId("compare").hidden) return;
  const [first, second] = [byId("first").value, byId("second").value];
  const found = await ask(`/compare.json?${new URLSearchParams({ first, second })}`);
  byId("note").textContent = found.note;
  show(byId("sides"), found, ({ header, lines }) => table([header, ...lines], 2));
}

for (const id of ["first", "second"]) byId(id).addEventListener("change", refresh);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
refresh();
