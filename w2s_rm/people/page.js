"use strict";

// A labeller's page. An answer is kept in the browser until the server has said that it is on the disk: nothing is lost
// with a closed tab or a server that is killed, and what is sent twice has the same key and is written once.

const BASE = location.pathname;
const KEPT = `w2s-rm ${BASE} `;
const AHEAD = 20; // questions that are fetched before they are shown
const RETRY = 500; // milliseconds
const PATIENCE = 10000;
const DIGIT_KEYS = 9;

const place = document.getElementById("place");
const problem = document.getElementById("problem");
const controls = document.querySelector("footer");

let state = null;
const answers = new Map(); // question to choice, in the order in which they were given
const seconds = new Map();
const questions = new Map(); // question to its prompt and candidates, on their way
const later = []; // questions that were put off
let again = null; // the question whose answer was taken back
let current = null;
let typed = ""; // of a number with several digits
let looked = 0; // milliseconds that the current question has been looked at, up to `since`
let since = null;

const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time));

function tell(text) {
  problem.textContent = text;
  problem.hidden = !text;
}

// What the server says; asked again until it does.
async function ask(path, kind) {
  for (;;) {
    try {
      const answer = await fetch(BASE + path, { signal: AbortSignal.timeout(PATIENCE) });
      if (answer.ok) return await answer[kind]();
      tell(await answer.text());
    } catch {
      tell(silence());
    }
    await sleep(RETRY);
  }
}

const silence = () => {
  const n = waiting().length;
  const kept = n ? ` ${n} answer${n > 1 ? "s wait" : " waits"} in this browser and will be sent.` : "";
  return `The server does not answer; start the same w2s-rm label command again.${kept}`;
};

// Answers

// Those that the server has not acknowledged, the oldest first.
function waiting() {
  return Object.keys(localStorage).filter((key) => key.startsWith(KEPT))
    .map((key) => JSON.parse(localStorage[key])).sort((a, b) => a.number - b.number);
}

function take(answer) {
  answers.delete(answer.question);
  if (answer.choice === null) seconds.delete(answer.question);
  else {
    answers.set(answer.question, answer.choice);
    seconds.set(answer.question, answer.seconds);
  }
}

function give(question, choice) {
  const last = waiting().at(-1);
  const number = Math.max(Date.now(), last ? last.number + 1 : 0);
  const answer = { key: crypto.randomUUID(), number, question, choice, seconds: time() / 1000 };
  localStorage[KEPT + answer.key] = JSON.stringify(answer);
  take(answer);
  send();
}

let sending = false;

async function send() {
  if (sending) return;
  sending = true;
  for (let [first] = waiting(); first; [first] = waiting()) {
    try {
      const answer = await fetch(`${BASE}answers`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(first),
        signal: AbortSignal.timeout(PATIENCE),
      });
      if (answer.ok) {
        localStorage.removeItem(KEPT + first.key);
        tell("");
        count();
        continue;
      }
      tell(`Not saved: ${await answer.text()}`);
    } catch {
      tell(silence());
    }
    count();
    await sleep(RETRY);
  }
  sending = false;
}

// Which question is next

function next() {
  const open = (name) => !answers.has(name);
  if (again !== null && open(again)) return again;
  return state.asked.find((name) => open(name) && !later.includes(name)) ?? later.find(open) ?? null;
}

function question(name) {
  if (!questions.has(name)) questions.set(name, ask(`questions/${name}`, "json"));
  return questions.get(name);
}

// Ahead, so that a server that is gone for a while stops nobody.
function prefetch() {
  state.asked.filter((name) => !answers.has(name)).slice(0, AHEAD).forEach(question);
}

const time = () => looked + (since === null ? 0 : performance.now() - since);

document.addEventListener("visibilitychange", () => {
  looked = time();
  since = document.hidden ? null : performance.now();
});

// What is shown

function count() {
  const n = state.asked.length;
  const median = [...seconds.values()].filter((value) => value !== null).sort((a, b) => a - b)[seconds.size >> 1];
  const put = later.filter((name) => !answers.has(name)).length;
  const parts = [`${answers.size} of ${n}`, put ? `${put} put off` : "", waiting().length ? "saving" : "saved"];
  if (median !== undefined) parts.push(`${median.toFixed(1)} s each`);
  document.getElementById("count").textContent = parts.filter(Boolean).join(" · ");
  const bar = document.querySelector("progress");
  bar.max = n;
  bar.value = answers.size;
}

async function show() {
  current = null;
  const name = next();
  prefetch();
  count();
  if (name === null) return finish();
  const shown = await question(name);
  // Another key may have gone on in between.
  if (name !== next()) return;
  tell(waiting().length ? problem.textContent : "");
  current = { name, n: shown.candidates.length };
  typed = "";
  looked = 0;
  since = document.hidden ? null : performance.now();
  const found = position(typeof shown.prompt === "string" ? shown.prompt.trim() : null);
  const prompt = element("div", { class: "prompt" }, showTurns(shown.prompt, null));
  place.replaceChildren(found ? board(found, null) : prompt, element("p", { class: "asked" }, state.question),
    candidateList(shown.candidates));
  place.dataset.question = name;
  draw();
  scrollTo(0, 0);
}

function candidateList(candidates) {
  const many = candidates.length > DIGIT_KEYS;
  const words = candidates.map((text) => turns(text).flatMap(([, said]) => said.split(/\s+/).filter(Boolean)));
  const marked = candidates.length <= MANY ? differingWords(words) : candidates.map(() => null);
  const buttons = candidates.map((text, k) => element("button",
    { type: "button", class: "candidate", "data-place": k, listeners: { click: () => choose(k) } },
    element("kbd", {}, k + 1), showTurns(text, marked[k])));
  return element("ol", { class: many ? "candidates many" : "candidates" }, ...buttons.map((one) => element("li", {}, one)));
}

function draw() {
  const key = (name, label, act, off) =>
    element("button", { type: "button", class: "plain", disabled: off, listeners: { click: act } }, element("kbd", {}, name), ` ${label}`);
  const many = current !== null && current.n > DIGIT_KEYS;
  const number = many ? element("span", { role: "status" }, typed ? `${typed} … Enter` : "type a number, then Enter") : null;
  controls.replaceChildren(...[
    current !== null && state.ties ? key("t", "neither is better", tie) : null,
    key("u", "undo", undo, answers.size === 0),
    current !== null ? key("s", "later", putOff) : null,
    number,
  ].filter((child) => child !== null));
  for (const button of place.querySelectorAll(".candidate")) {
    button.classList.toggle("named", Number(button.dataset.place) + 1 === Number(typed));
  }
}

async function finish() {
  // Whoever takes back an answer and gives another comes here again: each time has a summary of its own.
  const summary = element("pre", {});
  place.replaceChildren(element("p", { class: "asked" }, "All questions are answered."), summary);
  delete place.dataset.question;
  draw();
  while (waiting().length) await sleep(RETRY / 10);
  summary.textContent = await ask("summary", "text");
}

// Acts

function choose(choice) {
  if (current === null || (choice !== "tie" && choice >= current.n)) return;
  give(current.name, choice);
  again = null;
  show();
}

function tie() {
  if (state.ties) choose("tie");
}

function undo() {
  const last = [...answers.keys()].at(-1);
  if (last === undefined) return;
  give(last, null);
  again = last;
  show();
}

function putOff() {
  if (current === null) return;
  const { name } = current;
  if (later.includes(name)) later.splice(later.indexOf(name), 1);
  later.push(name);
  again = null;
  show();
}

function digit(value) {
  if (current === null) return;
  if (current.n <= DIGIT_KEYS) {
    if (value === 0) tie();
    else choose(value - 1);
    return;
  }
  typed = Number(typed + value) <= current.n ? String(Number(typed + value) || "") : "";
  draw();
}

document.addEventListener("keydown", (event) => {
  // A key that is held down answers one question.
  if (state === null || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const { key } = event;
  if (/^[0-9]$/.test(key)) digit(Number(key));
  else if (key === "t") tie();
  else if (key === "u") undo();
  else if (key === "s") putOff();
  else if (key === "Enter" && typed) choose(Number(typed) - 1);
  else if (key === "Escape" || key === "Backspace") {
    typed = "";
    draw();
  } else return;
  event.preventDefault();
});

async function begin() {
  const told = await ask("state", "json");
  document.querySelector("h1").textContent = `${told.title} · ${told.labeller}`;
  for (const [name, choice, spent] of told.answers) take({ question: name, choice, seconds: spent });
  waiting().forEach(take);
  state = told;
  send();
  show();
}

begin();
