// Which lines are shown: filters by what is wrong with them, by speaker, and the search.

import { button, counted, fill, h, refill } from "./dom.js";
import { select } from "./dialogs.js";

const FILTERS = [
  ["all", "All", () => true],
  ["failed", "Failed", (line) => line.failed],
  ["flagged", "Flagged", (line) => line.doubts.length > 0],
  ["unscripted", "Unscripted", (line) => line.unscripted],
  ["edited", "Edited", (line) => line.badges.includes("edited")],
  ["stale", "Stale", (line) => line.badges.includes("stale")],
  ["locked", "Locked", (line) => line.badges.includes("locked")],
  ["comments", "Comments", (line) => Boolean(line.edits.comment)],
];

/** Events: `change` (other lines are to be shown), `found` (detail: id of a line that matches). */
export class Filters extends EventTarget {
  constructor(store) {
    super();
    this.store = store;
    this.name = "all";
    this.who = "";
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "Filter" });
    this.people = h("span", {});
    this.search = h("input", {
      type: "search", placeholder: "Find in all lines", "aria-label": "Find in all lines (Ctrl+F)", class: "find",
      oninput: () => this.look(), onkeydown: (event) => this.pressed(event),
    });
    this.told = h("output", { class: "soft found" });
    this.element = h("div", { class: "filters" }, this.chips, this.people, h("span", { class: "gap" }), this.told, this.search);
  }

  draw() {
    const chips = FILTERS.map(([name, words, passes]) => {
      const count = this.store.lines.filter(passes).length;
      if (!count && name !== this.name && !["all", "failed", "flagged"].includes(name)) return null;
      return button([words, " ", h("b", {}, String(count))], () => this.choose(name), { "aria-pressed": String(name === this.name), class: "chip" });
    });
    refill(this.chips, chips);
    const people = this.store.film.speakers.map((each) => [each.id, `${each.name || each.id} (${each.lines})`]);
    const chooser = select([["", "All speakers"], ...people], this.who, (value) => { this.who = value; this.tell("change"); });
    chooser.setAttribute("aria-label", "Lines of one speaker");
    if (!this.people.contains(document.activeElement)) fill(this.people, chooser);
  }

  choose(name) {
    this.name = name;
    this.draw();
    this.tell("change");
  }

  lines() {
    const [, , passes] = FILTERS.find(([name]) => name === this.name);
    return this.store.lines.filter((line) => passes(line) && (!this.who || line.speaker === this.who));
  }

  get words() {
    return this.store.lines.length ? "No line passes this filter." : "This film has no lines yet: they come with its script.";
  }

  focus() {
    this.search.focus();
    this.search.select();
  }

  look() {
    const wanted = this.search.value.trim().toLowerCase();
    const name = (line) => this.store.speaker(line.speaker)?.name ?? line.speaker;
    this.matches = wanted
      ? this.store.lines.filter((line) => [line.original, line.dub, name(line), line.edits.comment].some((each) => each?.toLowerCase().includes(wanted)))
      : [];
    this.at = -1;
    this.told.textContent = wanted ? counted(this.matches.length, "match").replace("matchs", "matches") : "";
    if (this.matches.length) this.next(1);
  }

  next(way) {
    if (!this.matches?.length) return;
    this.at = (this.at + way + this.matches.length) % this.matches.length;
    this.told.textContent = `${this.at + 1} of ${this.matches.length}`;
    this.tell("found", this.matches[this.at].id);
  }

  pressed(event) {
    if (event.key === "Enter") this.next(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") {
      this.search.value = "";
      this.look();
      this.tell("found", null);
    } else return;
    event.preventDefault();
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
