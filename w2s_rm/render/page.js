"use strict";

// What the page does by itself: its tables sort and filter, and examples are shown. Shape suffixes: K candidates of an
// example, M models of a run.

const unseen = (text) => element("span", { class: "unseen" }, text);

// Tables

const FEW_LINES = 5;

// The number that a cell begins with; null for a dash or words.
function leadingNumber(text) {
  const found = /^\(?([+-]?(?:\d[\d,]*\.?\d*|∞))/.exec(text.trim().replace(/−/g, "-"));
  if (!found) return null;
  return found[1].endsWith("∞") ? parseFloat(found[1].replace("∞", "Infinity")) : parseFloat(found[1].replace(/,/g, ""));
}

// What is missing comes last in either direction; equal lines stay in their order.
function compareCells(first, second, numeric, sign) {
  const [a, b] = numeric ? [leadingNumber(first), leadingNumber(second)] : [first, second];
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (numeric ? (a > b) - (a < b) : a.localeCompare(b, undefined, { numeric: true }));
}

function makeSortable(table) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    const button = element("button", { type: "button" }, header.textContent);
    header.replaceChildren(button);
    header.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const order = header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      for (const other of headers) other.setAttribute("aria-sort", other === header ? order : "none");
      const sign = order === "ascending" ? 1 : -1;
      const text = (line) => line.cells[column].textContent;
      const numeric = header.classList.contains("number");
      const lines = [...table.tBodies[0].rows].sort((a, b) => compareCells(text(a), text(b), numeric, sign));
      table.tBodies[0].append(...lines);
    });
  });
}

function makeFilterable(table) {
  const lines = [...table.tBodies[0].rows];
  if (lines.length <= FEW_LINES) return;
  const count = element("span", { role: "status" });
  const input = element("input", {
    type: "search",
    listeners: {
      input: () => {
        const wanted = input.value.toLowerCase();
        for (const line of lines) line.hidden = !line.textContent.toLowerCase().includes(wanted);
        const shown = lines.filter((line) => !line.hidden).length;
        count.textContent = wanted ? ` ${shown} of ${lines.length} lines` : "";
      },
    },
  });
  table.parentElement.before(element("p", { class: "filter" }, element("label", {}, "Lines with ", input), count));
}

for (const table of document.querySelectorAll("table")) {
  makeSortable(table);
  makeFilterable(table);
}

// Examples

const PAGE = 10;
const WORTH_SHOWING = 50; // of 1000

async function unpack(text) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < characters.length; i++) bytes[i] = characters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const lines = (await new Response(stream).text()).trimEnd().split("\n");
  return lines.filter(Boolean).map((line) => JSON.parse(line));
}

const flat = (text) => turns(text).map(([speaker, said]) => (speaker ? `${speaker}: ${said}` : said)).join("\n");

const lengthOf = (example) => [example.prompt, ...example.candidates].reduce((sum, text) => sum + flat(text).length, 0);

const isRight = (example, model) => example.gold !== null && example.choices[model] === example.gold;
const isWrong = (example, model) =>
  example.gold !== null && example.choices[model] !== null && example.choices[model] !== example.gold;

// Half the sum of the absolute differences, in thousandths; null where one of them has no probabilities.
function difference(example, pair) {
  const student = example.shares[pair.student];
  const supervisor = pair.supervisor === null ? null : example.shares[pair.supervisor];
  if (!student || !supervisor) return null;
  return student.reduce((sum, share, k) => sum + Math.abs(share - supervisor[k]), 0) / 2;
}

const differs = (example, pair) =>
  pair.supervisor !== null && example.choices[pair.student] !== null && example.choices[pair.supervisor] !== null &&
  example.choices[pair.student] !== example.choices[pair.supervisor];

const VIEWS = {
  gained: {
    label: "student right, supervisor wrong",
    takes: (e, pair) => pair.supervisor !== null && isRight(e, pair.student) && isWrong(e, pair.supervisor),
  },
  lost: {
    label: "student wrong, supervisor right",
    takes: (e, pair) => pair.supervisor !== null && isWrong(e, pair.student) && isRight(e, pair.supervisor),
  },
  wrong: {
    label: "all wrong",
    takes: (e) => e.choices.some((_, m) => isWrong(e, m)) && !e.choices.some((_, m) => isRight(e, m)),
  },
  overruled: { label: "overruled: student and supervisor choose differently", takes: differs },
  all: { label: "all", takes: () => true },
};

const ORDERS = {
  overruled: { label: "most overruled first", key: (e, pair) => -(difference(e, pair) ?? -1) },
  short: { label: "shortest first", key: (e) => e.length },
  long: { label: "longest first", key: (e) => -e.length },
};

// One example

const percent = (thousandths) => `${(thousandths / 10).toFixed(1)} %`;

function shareList(run, example, k) {
  const rows = run.models.map((name, m) => {
    const shares = example.shares[m];
    if (!shares) return null;
    const chosen = example.choices[m] === k;
    const verdict = example.gold === null ? "" : example.gold === k ? " right" : " wrong";
    const sign = chosen ? { " right": " ✓", " wrong": " ✗", "": " ●" }[verdict] : "";
    const row = element("div", { class: chosen ? `chosen${verdict}` : "" }, element("dt", {}, name),
      element("dd", {}, percent(shares[k]) + sign, chosen ? unseen(" chosen") : null));
    row.style.setProperty("--width", percent(shares[k]).replace(" ", ""));
    return row;
  });
  return element("dl", { class: "shares" }, ...rows);
}

function candidate(run, example, k, marked) {
  const gold = example.gold === k;
  const votes = example.truth ? `, truth ${percent(1000 * example.truth[k])}` : "";
  const badge = element("p", { class: "badge" }, `Candidate ${k + 1}`, gold ? element("strong", {}, ", right") : null, votes);
  return element("li", { class: gold ? "candidate gold" : "candidate" }, badge,
    showTurns(example.candidates[k], marked), shareList(run, example, k));
}

function candidates(run, example) {
  const all = example.candidates.map((_, k) => k);
  if (all.length <= MANY) {
    const words = example.candidates.map((text) => turns(text).flatMap(([, said]) => said.split(/\s+/).filter(Boolean)));
    const marked = differingWords(words);
    return [element("ol", { class: "candidates" }, ...all.map((k) => candidate(run, example, k, marked[k])))];
  }
  const told = (k) => example.gold === k || example.choices.includes(k) ||
    example.shares.some((shares) => shares && shares[k] >= WORTH_SHOWING);
  const list = (places) => element("ol", { class: "candidates many" }, ...places.map((k) => candidate(run, example, k, null)));
  const rest = all.filter((k) => !told(k));
  const others = element("details", {}, element("summary", {}, `${rest.length} other candidates`));
  others.addEventListener("toggle", () => others.children.length > 1 || others.append(list(rest)));
  return [list(all.filter(told)), rest.length ? others : null];
}

function verdict(example, pair) {
  const said = (name, model) =>
    isRight(example, model) ? `${name} right` : isWrong(example, model) ? `${name} wrong` : null;
  const apart = difference(example, pair);
  const parts = [said("student", pair.student), pair.supervisor === null ? null : said("supervisor", pair.supervisor)];
  if (example.gold === null) parts.push("no ground truth");
  if (apart !== null) parts.push(`difference ${percent(apart)}`);
  return parts.filter(Boolean).join(", ");
}

function exampleHash(number, example) {
  return `#example-${encodeURIComponent(example.id)}${number ? `/${number + 1}` : ""}`;
}

function showExample(number, run, example, pair, onGroup) {
  const found = position(typeof example.prompt === "string" ? example.prompt.trim() : null);
  const gold = example.gold === null ? null : example.candidates[example.gold];
  const group = element("button", { type: "button", class: "plain", listeners: { click: () => onGroup(example.group) } },
    example.group);
  const scored = example.seeds < run.seeds ? element("span", {}, `in ${example.seeds} of ${run.seeds} seeds`) : null;
  return element("article", { class: "example", id: exampleHash(number, example).slice(1), tabindex: -1 },
    element("header", {},
      element("h3", {}, element("a", { href: exampleHash(number, example) }, `Example ${example.id}`)),
      element("span", {}, verdict(example, pair)), scored, element("span", {}, "group ", group)),
    ...(found ? [board(found, gold)] : []),
    showTurns(example.prompt, null),
    ...candidates(run, example));
}

// Looking through them

function explorer(place, runs) {
  const loaded = runs.map(() => null);
  const section = place.closest("details");
  let number = 0;
  let only = null; // The id of a single example, from a link.
  let shown = PAGE;

  const option = (value, label) => element("option", { value }, label);
  const field = (label, input) => element("label", {}, label, input);
  const select = (options, onchange) => element("select", { listeners: { change: onchange } }, ...options);
  const text = (type, label) => {
    const input = element("input", { type, listeners: { input: again } });
    return [input, field(label, input)];
  };
  const runSelect = select(runs.map((run, i) => option(i, run.name)), () => open(Number(runSelect.value)));
  const pairSelect = select([], again);
  const orderSelect = select(Object.entries(ORDERS).map(([name, order]) => option(name, order.label)), again);
  const [contains, containsField] = text("search", "With the text");
  const [group, groupField] = text("search", "Group");
  const [shortest, shortestField] = text("number", "Length from");
  const [longest, longestField] = text("number", "to (characters)");
  const views = element("fieldset", {}, element("legend", {}, "Show"));
  const view = {};
  for (const [name, { label }] of Object.entries(VIEWS)) {
    const input = element("input", { type: "radio", name: "view", value: name, listeners: { change: again } });
    const count = element("span", { class: "badge" });
    view[name] = { input, count };
    views.append(element("label", {}, input, label, count));
  }
  const status = element("p", { role: "status" });
  const list = element("div", {});
  const more = element("button", { type: "button", class: "plain", listeners: { click: showMore } }, "Show more");
  const everything = element("button", { type: "button", class: "plain", listeners: { click: again } }, "Back to all examples");
  const runField = field("Run", runSelect);
  const pairField = field("Student", pairSelect);
  place.replaceChildren(
    element("div", { class: "controls" }, views, runField, pairField, field("Order", orderSelect), containsField, groupField,
      shortestField, longestField),
    status, everything, list, more);
  runField.hidden = runs.length < 2;

  async function load(index) {
    loaded[index] ??= unpack(runs[index].lines).then((examples) =>
      examples.map((example) => ({ ...example, length: lengthOf(example) })));
    return loaded[index];
  }

  // Shows a run, perhaps only one of its examples.
  async function open(index, id = null) {
    number = index;
    runSelect.value = index;
    const { pairs } = runs[index];
    pairSelect.replaceChildren(...pairs.map((pair, i) => option(i, pair.method)));
    pairField.hidden = pairs.length < 2;
    view[pairs[0].supervisor === null ? "all" : "gained"].input.checked = true;
    only = id;
    await draw();
  }

  function again() {
    only = null;
    shown = PAGE;
    draw();
  }

  async function draw() {
    const run = runs[number];
    const examples = await load(number);
    const pair = run.pairs[pairSelect.value];
    const wanted = contains.value.toLowerCase();
    const inside = examples.filter((example) =>
      (!group.value || example.group.includes(group.value)) &&
      (!shortest.value || example.length >= Number(shortest.value)) &&
      (!longest.value || example.length <= Number(longest.value)) &&
      (!wanted || [example.id, flat(example.prompt), ...example.candidates.map(flat)].some((one) =>
        one.toLowerCase().includes(wanted))));
    for (const [name, { takes }] of Object.entries(VIEWS)) {
      view[name].count.textContent = ` ${inside.filter((example) => takes(example, pair)).length.toLocaleString("en")}`;
    }
    const chosen = Object.keys(VIEWS).find((name) => view[name].input.checked);
    const { key } = ORDERS[orderSelect.value];
    const kept = only === null
      ? inside.filter((example) => VIEWS[chosen].takes(example, pair)).sort((a, b) => key(a, pair) - key(b, pair))
      : examples.filter((example) => example.id === only);
    const onGroup = (name) => {
      group.value = name;
      view.all.input.checked = true;
      again();
      group.focus();
    };
    list.replaceChildren(...kept.slice(0, shown).map((example) => showExample(number, run, example, pair, onGroup)));
    const numbers = `${Math.min(shown, kept.length).toLocaleString("en")} of ${kept.length.toLocaleString("en")}`;
    status.textContent = only === null ? `${numbers} examples` : kept.length ? "One example, from a link" : `No example ${only}`;
    more.hidden = shown >= kept.length;
    everything.hidden = only === null;
  }

  function showMore() {
    const first = shown;
    shown += PAGE;
    draw().then(() => list.children[first]?.focus());
  }

  // The example that the address names: #example-ID, or #example-ID/NUMBER in another run than the first.
  async function follow() {
    const named = /^#example-((?:[^/%]|%[0-9A-F]{2})*)(?:\/([1-9]\d*))?$/i.exec(location.hash);
    const index = Number(named?.[2] ?? 1) - 1;
    if (!named || index >= runs.length) return;
    section.open = true;
    await open(index, decodeURIComponent(named[1]));
    (list.firstElementChild ?? status).scrollIntoView();
    list.firstElementChild?.focus({ preventScroll: true });
  }

  let started = false;
  section.addEventListener("toggle", () => {
    if (section.open && !started && only === null) open(number);
    started = true;
  });
  window.addEventListener("hashchange", follow);
  follow();
}

const data = document.getElementById("data");
if (data) explorer(document.getElementById("examples"), JSON.parse(data.textContent));

// A link to a folded section opens it.
function unfold() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") target.open = true;
}
window.addEventListener("hashchange", unfold);
unfold();
