"use strict";

// How prompts and candidates are shown: as text, never as markup, with the words that candidates do not share marked, and
// positions as boards. Shape suffix: K candidates of an example.

const MANY = 6;

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "listeners") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (value === true || typeof value === "string" || typeof value === "number") {
      made.setAttribute(name, value === true ? "" : value);
    }
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function messageText(message) {
  const content = message.content ?? "";
  const said = typeof content === "string" ? content : JSON.stringify(content);
  return message.tool_calls ? `${said}\n${JSON.stringify(message.tool_calls)}`.trim() : said;
}

// A text or conversation as turns: [speaker or null, text].
function turns(text) {
  if (typeof text === "string") return [[null, text]];
  return text.map((message) => [String(message.role), messageText(message)]);
}

// Words that candidates do not share

// Places in `a` of a longest common subsequence with `b`; null where that would take too long.
function commonPlaces(a, b) {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const n = a.length - end - start;
  const m = b.length - end - start;
  if (n * m > 1e6) return null;
  const lengths = Array.from({ length: n + 1 }, () => new Uint16Array(m + 1));
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) {
      const same = a[start + i] === b[start + j];
      lengths[i][j] = same ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const places = new Set();
  for (let i = 0; i < start; i++) places.add(i);
  for (let i = a.length - end; i < a.length; i++) places.add(i);
  for (let i = 0, j = 0; i < n && j < m; ) {
    if (a[start + i] === b[start + j]) {
      places.add(start + i++);
      j++;
    } else if (lengths[i + 1][j] >= lengths[i][j + 1]) i++;
    else j++;
  }
  return places;
}

// For each candidate the places of words to mark; empty where candidates have little in common.
function differingWords(words_K) {
  const none = words_K.map(() => new Set());
  const marked = [];
  for (const words of words_K) {
    const own = new Set();
    for (const other of words_K) {
      if (other === words) continue;
      const common = commonPlaces(words, other);
      if (common === null) return none;
      words.forEach((_, place) => common.has(place) || own.add(place));
    }
    marked.push(own);
  }
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
  const alike = sum(marked.map((places) => places.size)) <= 0.75 * sum(words_K.map((words) => words.length));
  return alike ? marked : none;
}

function showTurns(text, marked) {
  let place = 0;
  const shown = turns(text).map(([speaker, said]) => {
    const pieces = said.split(/(\s+)/).map((piece) => {
      if (!piece.trim()) return piece;
      return marked && marked.has(place++) ? element("mark", {}, piece) : piece;
    });
    return element("span", {}, speaker ? element("span", { class: "speaker" }, speaker) : null, ...pieces, "\n");
  });
  return element("div", { class: "text" }, ...shown);
}

// Chess

const PIECES = { k: ["♚", "king"], q: ["♛", "queen"], r: ["♜", "rook"], b: ["♝", "bishop"], n: ["♞", "knight"],
  p: ["♟", "pawn"] };

// A position from FEN, or from words such as `w KQ - : Ke1 ke8 pa7`; null for any other text.
function position(text) {
  if (typeof text !== "string") return null;
  const fen = /^([1-8kqrbnpKQRBNP]+(?:\/[1-8kqrbnpKQRBNP]+){7}) ([wb]) /.exec(text);
  const words = /^([wb]) [-kqKQ]+ (?:-|[a-h][36]) : ((?:[kqrbnpKQRBNP][a-h][1-8] ?)+)$/.exec(text);
  const pieces = new Map();
  if (words) {
    for (const word of words[2].trim().split(" ")) pieces.set(word.slice(1), word[0]);
    return { side: words[1], pieces };
  }
  if (!fen) return null;
  fen[1].split("/").forEach((rank, row) => {
    let file = 0;
    for (const sign of rank) {
      if (/\d/.test(sign)) file += Number(sign);
      else pieces.set("abcdefgh"[file++] + (8 - row), sign);
    }
  });
  return { side: fen[2], pieces };
}

function board(found, right) {
  const named = new Set(typeof right === "string" ? right.match(/[a-h][1-8]/g) : []);
  const squares = [];
  for (const rank of "87654321") {
    for (const file of "abcdefgh") {
      const sign = found.pieces.get(file + rank);
      const dark = ("abcdefgh".indexOf(file) + Number(rank)) % 2 === 1;
      const kinds = [dark ? "dark" : "", named.has(file + rank) ? "named" : "", sign && sign < "a" ? "white" : ""];
      // The last sign asks for a letter in ink, not a picture.
      squares.push(element("span", { class: kinds.join(" ") }, sign ? `${PIECES[sign.toLowerCase()][0]}\uFE0E` : ""));
    }
  }
  const told = (white) =>
    [...found.pieces].filter(([, sign]) => sign < "a" === white)
      .map(([square, sign]) => `${PIECES[sign.toLowerCase()][1]} ${square}`).join(", ");
  const side = found.side === "w" ? "White" : "Black";
  const label = `Chess position, ${side} to move. White: ${told(true)}. Black: ${told(false)}.`;
  return element("div", {}, element("div", { class: "board", role: "img", "aria-label": label }, ...squares),
    element("p", { class: "badge" }, `${side} to move`));
}
