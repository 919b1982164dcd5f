// The grid of lines. It holds some thirty rows, however long the film; one of them is active.

import { button, clock, colour, counted, fill, h } from "./dom.js";

const ROW = 62;
const HEAD = 28;
const AHEAD = 6;

/** Events: `active` (detail: the line's id), `play` (detail: id and sound), `text` (keep what is typed). */
export class Grid extends EventTarget {
  constructor(store) {
    super();
    this.store = store;
    this.shown = [];
    this.rows = new Map();
    this.active = null;
    this.activeHeight = ROW;
    this.now = null;
    this.box = h("textarea", {
      class: "box", rows: 2, spellcheck: true, "aria-label": "Dubbed text of the active line",
      oninput: () => this.typed(), onblur: () => this.tell("text"),
    });
    this.body = h("div", { class: "rows", role: "rowgroup" });
    this.view = h("div", { class: "scroller", onscroll: () => this.draw() }, head(), this.body);
    this.element = h("div", {
      class: "grid", role: "grid", tabIndex: 0, "aria-label": "Lines of the film",
      "aria-colcount": "6", onmousedown: (event) => this.pressed(event),
    }, this.view);
    this.empty = h("p", { class: "state" });
    new ResizeObserver(() => this.draw()).observe(this.view);
  }

  /** Show these lines, in this order. */
  show(lines, words) {
    const before = this.places?.get(this.active);
    const typing = document.activeElement === this.box;
    const { selectionStart, selectionEnd } = this.box;
    this.shown = lines;
    this.places = new Map(lines.map((line, at) => [line.id, at]));
    this.element.setAttribute("aria-rowcount", String(lines.length + 1));
    this.empty.textContent = lines.length ? "" : words;
    this.empty.hidden = lines.length > 0;
    this.rows.clear();
    fill(this.body, this.empty);
    // Where the active line is gone, the one in its place follows it.
    if (this.active && !this.places.has(this.active)) this.settle(lines[Math.min(before, lines.length - 1)]?.id ?? null);
    this.measure();
    this.draw();
    // The box was taken out for a moment: what is typed next must not be read as keys.
    if (!typing) return;
    if (this.active === null) return this.element.focus({ preventScroll: true });
    this.box.focus({ preventScroll: true });
    this.box.setSelectionRange(selectionStart, selectionEnd);
  }

  top(at) {
    const active = this.places?.get(this.active);
    return at * ROW + (active !== undefined && at > active ? this.activeHeight - ROW : 0);
  }

  /** Draw the rows that are in view, and drop those that have left it. */
  draw() {
    const lines = this.shown;
    this.body.style.height = `${this.top(lines.length)}px`;
    const first = Math.max(0, Math.floor(this.view.scrollTop / ROW) - AHEAD);
    const last = Math.min(lines.length, Math.ceil((this.view.scrollTop + this.view.clientHeight) / ROW) + AHEAD);
    const wanted = new Map();
    for (let at = first; at < last; at++) wanted.set(lines[at].id, at);
    const active = this.places?.get(this.active);
    if (active !== undefined) wanted.set(this.active, active);
    for (const [id, row] of this.rows) {
      if (wanted.has(id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    for (const [id, at] of wanted) this.place(id, at);
  }

  place(id, at) {
    let row = this.rows.get(id);
    if (!row) {
      row = this.build(this.store.line(id));
      this.rows.set(id, row);
      this.body.append(row);
    }
    row.setAttribute("aria-rowindex", String(at + 2));
    row.style.transform = `translateY(${this.top(at)}px)`;
  }

  build(line) {
    const row = h("div", { class: "row", role: "row", id: `line-${line.id}`, "data-id": line.id });
    row.cells = Object.fromEntries(CELLS.map(([name]) => [name, h("div", { class: `cell ${name}`, role: "gridcell" })]));
    row.append(...Object.values(row.cells));
    this.paint(row, line);
    return row;
  }

  /** Show a line anew, without touching what a person types. */
  update(id) {
    const row = this.rows.get(id);
    if (!row) return;
    this.paint(row, this.store.line(id));
    if (id === this.active && !this.dirty) this.fillBox();
    if (id === this.active) this.measure();
    this.draw();
  }

  paint(row, line) {
    const active = line.id === this.active;
    const speaker = this.store.speaker(line.speaker);
    row.className = `row${active ? " active" : ""}${line.failed ? " failed" : ""}${line.id === this.now ? " now" : ""}`;
    row.setAttribute("aria-selected", String(active));
    const { time, who, original, dub, fit, outcome } = row.cells;
    fill(time, h("b", {}, clock(line.start)), h("small", {}, `#${line.index} · ${(line.end - line.start).toFixed(1)} s`));
    const dot = h("span", { class: "dot" });
    dot.style.background = colour(speaker?.colour);
    fill(who, dot, h("span", { class: "name" }, speaker?.name || line.speaker || "nobody"));
    fill(original, this.sign(line, "original"), h("span", { class: "words" }, line.original));
    if (!active || !dub.contains(this.box)) {
      const words = h("span", { class: "words" }, line.dub);
      fill(dub, this.sign(line, "dub"), active ? this.box : words);
    }
    fill(fit, fitBadge(line));
    fill(outcome, outcomeCell(line));
  }

  sign(line, what) {
    const label = `Play the ${what} of line ${line.index}`;
    const able = what === "original" || Boolean(line.outcome);
    return button("▶", () => this.tell("play", { id: line.id, what }), {
      class: "play", tabIndex: -1, label: able ? label : `Line ${line.index} has no dub`, disabled: !able,
    });
  }

  /** Make a line the active one and bring it into view; what was typed before is kept. */
  activate(id, { quiet = false } = {}) {
    if (!this.places?.has(id)) return false;
    if (id !== this.active) {
      this.tell("text");
      const above = this.places.get(this.active) < this.places.get(id);
      const was = this.activeHeight;
      this.settle(id);
      if (above) this.view.scrollTop -= was - ROW;
    }
    this.reveal(this.places.get(id));
    this.draw();
    if (!quiet) this.tell("active", id);
    return true;
  }

  settle(id) {
    const before = this.active;
    const focused = document.activeElement === this.box;
    this.active = id;
    this.activeHeight = ROW;
    for (const each of [before, id]) {
      const row = this.rows.get(each);
      if (row && this.store.line(each)) this.paint(row, this.store.line(each));
    }
    if (id === null) {
      this.element.removeAttribute("aria-activedescendant");
      return;
    }
    this.place(id, this.places.get(id));
    this.element.setAttribute("aria-activedescendant", `line-${id}`);
    this.fillBox();
    this.measure();
    if (focused) this.box.focus({ preventScroll: true });
  }

  fillBox() {
    const line = this.store.line(this.active);
    const words = line?.dub ?? "";
    if (this.box.value !== words) this.box.value = words;
    this.box.readOnly = line?.badges.includes("locked") ?? false;
    this.box.lang = this.store.lang;
    this.settleText();
  }

  /** The text in the box is stored, or about to be. */
  settleText() {
    this.clean = this.box.value;
    this.box.dataset.dirty = "no";
  }

  /** Whether the text differs from what is stored. */
  get dirty() {
    return this.active !== null && this.box.value !== this.clean;
  }

  measure() {
    const row = this.rows.get(this.active);
    if (!row) return;
    this.box.style.height = "0";
    this.box.style.height = `${this.box.scrollHeight + 2}px`;
    const words = row.cells.original.querySelector(".words");
    const tall = Math.max(this.box.offsetHeight + 12, words.scrollHeight + 12, row.cells.outcome.scrollHeight);
    this.activeHeight = Math.max(ROW, tall + 2);
    row.style.height = `${this.activeHeight}px`;
    for (const [id, other] of this.rows) if (id !== this.active) other.style.height = "";
  }

  typed() {
    this.box.dataset.dirty = this.dirty ? "yes" : "no";
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.tell("text"), 2000);
    const before = this.activeHeight;
    this.measure();
    if (before !== this.activeHeight) this.draw();
  }

  reveal(at) {
    const top = this.top(at);
    const bottom = top + this.activeHeight;
    const room = this.view.clientHeight - HEAD;
    if (top < this.view.scrollTop + ROW) this.view.scrollTop = Math.max(0, top - ROW);
    else if (bottom > this.view.scrollTop + room - ROW) this.view.scrollTop = bottom - room + ROW;
  }

  /** Mark the line that is heard now. */
  hears(id, follow) {
    if (id === this.now) return;
    const before = this.now;
    this.now = id;
    for (const each of [before, id]) this.rows.get(each)?.classList.toggle("now", each === id);
    if (id && follow && this.places.has(id)) this.reveal(this.places.get(id));
  }

  edit() {
    if (this.active === null) return;
    this.box.focus({ preventScroll: true });
    this.box.setSelectionRange(this.box.value.length, this.box.value.length);
  }

  step(way) {
    const at = this.places?.get(this.active);
    const next = at === undefined ? this.shown[0] : this.shown[at + way];
    return next ? this.activate(next.id) : false;
  }

  pressed(event) {
    const row = event.target.closest(".row");
    if (!row || event.target.closest("button")) return;
    if (row.dataset.id !== this.active) {
      event.preventDefault();
      this.box.blur();
      this.activate(row.dataset.id);
      if (event.target.closest(".dub")) this.edit();
      else this.element.focus({ preventScroll: true });
    }
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

const CELLS = [
  ["time", "Time"], ["who", "Speaker"], ["original", "Original"],
  ["dub", "Dub"], ["fit", "Fit"], ["outcome", "Outcome"],
];

function head() {
  const titles = CELLS.map(([name, title]) => h("div", { class: `cell ${name}`, role: "columnheader" }, title));
  return h("div", { class: "row head", role: "row", "aria-rowindex": "1" }, titles);
}

function fitBadge(line) {
  const { budget_s: budget, predicted_s: predicted, measured_s: measured, tempo } = line.fit ?? {};
  if (!budget) return h("small", {}, "-");
  const seconds = (value) => (value === null || value === undefined ? "-" : value.toFixed(2));
  const words = measured ? `${seconds(measured)} of ${seconds(budget)} s` : `window ${seconds(budget)} s`;
  const factor = tempo && Math.abs(tempo - 1) >= 0.005 ? ` · ×${tempo.toFixed(2)}` : "";
  const planned = predicted === null || predicted === undefined ? "" : `plan ${seconds(predicted)}`;
  const full = `Window ${seconds(budget)} s, predicted ${seconds(predicted)} s, measured ${seconds(measured)} s, tempo ${tempo?.toFixed(2) ?? "-"}`;
  return [
    h("span", { class: `badge ${line.fits}`, title: full, "aria-label": full }, words),
    h("small", {}, `${planned}${factor}`),
  ];
}

function outcomeCell(line) {
  const words = line.reasons;
  const tone = line.failed ? "over" : line.doubts.length ? "tight" : "";
  const takes = line.takes.length > 1 ? ` · ${counted(line.takes.length, "take")}` : "";
  return [
    h("span", { class: `outcome ${tone}` }, line.outcomeWords, h("span", { class: "soft" }, takes)),
    words ? h("small", { class: "why", title: words }, words) : null,
    line.badges.length ? h("span", { class: "badges" }, line.badges.map((name) => h("span", { class: `tag ${name}` }, name))) : null,
  ];
}
