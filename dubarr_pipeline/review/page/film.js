// The page of one film: the picture and the lane above, the grid below, the active line beside it.

import { call, FilmAddress } from "./api.js";
import { lineActions, pickOne } from "./actions.js";
import { button, fill, h, languageName, refill, say } from "./dom.js";
import { ask, field, select } from "./dialogs.js";
import { Filters } from "./filters.js";
import { Gate } from "./gate.js";
import { Grid } from "./grid.js";
import { Inspector, valueWords } from "./inspector.js";
import { listen, openKeys } from "./keys.js";
import { Lane } from "./lane.js";
import { Orphans } from "./orphans.js";
import { openPeople } from "./people.js";
import { Picture } from "./picture.js";
import { Player, SOUNDS } from "./player.js";
import { Runs } from "./runs.js";
import { openSheets } from "./sheets.js";
import { FilmStore, myName, setMyName } from "./store.js";
import { openTerms } from "./terms.js";

export class FilmPage {
  constructor(key) {
    this.address = new FilmAddress(key);
    this.store = new FilmStore(this.address, pickOne(valueWords));
    this.voices = {};
  }

  async open(root) {
    await this.store.open(new URLSearchParams(location.search).get("lang"));
    document.title = `${this.store.film.title} · review`;
    if (!this.store.lang) return fill(root, this.top(), h("p", { class: "state" }, "This film has no dubs yet: they are shown here once it is dubbed."));
    this.player = new Player(this.address, this.store.lang);
    this.grid = new Grid(this.store);
    this.filters = new Filters(this.store);
    this.lane = new Lane(this.store, this.player);
    this.picture = new Picture(this.store, this.player);
    this.gate = new Gate(this.store);
    this.orphans = new Orphans(this.store);
    this.runs = new Runs(this.store, (fault) => this.finished(fault));
    const line = lineActions(this);
    this.actions = { ...line, ...this.pageActions() };
    this.inspector = new Inspector(this.store, this.actions);
    this.saved = h("output", { class: "saved", "aria-live": "polite" });
    this.sounds = h("div", { class: "sounds", role: "group", "aria-label": "What is heard" });
    this.topBar = h("div", {});
    fill(root, h("main", { class: "film" },
      this.topBar, this.gate.element, this.orphans.element,
      h("div", { class: "stage" }, this.picture.element, h("div", { class: "deck" }, this.lane.element, this.transport())),
      this.filters.element, h("div", { class: "work" }, this.grid.element, this.inspector.element)));
    this.connect();
    this.drawFilm();
    this.drawLines();
    this.drawSounds();
    this.drawSaved();
    this.lane.reload();
    this.openAt();
    this.picture.open();
    this.loadVoices();
    return this;
  }

  connect() {
    const { store, grid, filters, player, lane } = this;
    store.addEventListener("film", () => this.drawFilm());
    store.addEventListener("lines", () => this.drawLines());
    store.addEventListener("line", ({ detail: id }) => this.drawLine(id));
    store.addEventListener("saving", () => this.drawSaved());
    grid.addEventListener("active", ({ detail: id }) => this.chosen(id));
    grid.addEventListener("play", ({ detail }) => this.playRow(detail));
    grid.addEventListener("text", () => this.keepText());
    filters.addEventListener("change", () => this.drawLines());
    filters.addEventListener("found", ({ detail: id }) => this.found(id));
    player.addEventListener("state", () => this.drawSounds());
    player.addEventListener("time", () => this.heard());
    lane.addEventListener("seek", ({ detail }) => player.seek(detail));
    lane.addEventListener("pick", ({ detail }) => grid.activate(detail));
    lane.addEventListener("move", ({ detail: { id, start } }) => {
      grid.activate(id);
      this.actions.startAt(start);
      lane.choose(store.line(id));
    });
    listen(this.actions, grid.box);
    addEventListener("beforeunload", (event) => {
      if (store.queue.length || grid.dirty) event.preventDefault();
    });
    this.runs.listen();
  }

  pageActions() {
    const { player, grid, filters, store } = this;
    const hear = (what) => () => player.choose(what);
    return {
      up: () => grid.step(-1), down: () => grid.step(1), toggle: () => player.toggle(),
      back: () => player.seek(player.time - 1), on: () => player.seek(player.time + 1),
      original: hear("original"), dub: hear("dub"), voice: hear("voice"), bed: hear("bed"),
      edit: () => grid.edit(), keep: () => this.keepAndNext(), leave: () => this.leaveText(),
      comment: () => this.inspector.note?.focus(), find: () => filters.focus(), nextMatch: () => filters.next(1),
      nextProblem: () => this.problem(1), previousProblem: () => this.problem(-1), goTo: () => this.goTo(),
      undo: () => this.back("undo"), redo: () => this.back("redo"), keys: openKeys, name: () => this.askName(), render: () => this.runs.render(),
      terms: () => openTerms(store), people: () => openPeople(store, this.voices), sheets: () => openSheets(store),
    };
  }

  top() {
    const { film, lang } = this.store;
    const languages = film.languages.map((each) => [each.language, languageName(each.language)]);
    const chooser = select(languages, lang, (value) => { location.search = `?lang=${encodeURIComponent(value)}`; });
    chooser.setAttribute("aria-label", "Language of the dub");
    const act = (words, name, title, label) => button(words, () => this.actions[name](), label ? { label } : { title });
    return h("header", { class: "top" },
      h("a", { href: "/review/", class: "home" }, "All films"), h("h1", { title: film.title }, film.title), chooser,
      h("span", { class: "gap" }), this.saved ?? null,
      lang ? [act("↶", "undo", "", "Undo (Ctrl+Z)"), act("↷", "redo", "", "Redo (Ctrl+Y)"), act("Words …", "terms", "Glossary and pronunciation for the whole film"),
        act("Speakers …", "people", "Names, voices, merging"), h("a", { class: "button", href: `/review/${encodeURIComponent(film.key)}/cast` }, "Cast"),
        act("Sheets …", "sheets", "CSV, Excel and subtitles out and in"), act("Keys", "keys", "F1"),
        act(myName(), "name", "Your name, beside your edits"), this.runs?.element] : null);
  }

  transport() {
    return h("div", { class: "transport" }, this.playButton = button("▶", () => this.player.toggle(), { label: "Play the film from the playhead (Space)", class: "play large" }), this.sounds);
  }

  drawFilm() {
    if (!this.gate || !this.store.lang) return;
    refill(this.topBar, this.top());
    this.gate.show();
    this.orphans.show();
    this.runs.show();
  }

  drawLines() {
    this.filters.draw();
    this.grid.show(this.filters.lines(), this.filters.words);
    this.inspector.show(this.store.line(this.grid.active));
    if (this.lane.wave) this.lane.show(this.lane.from);
  }

  drawLine(id) {
    this.grid.update(id);
    this.filters.draw();
    if (id === this.grid.active) this.inspector.show(this.store.line(id));
    if (this.lane.wave) this.lane.show(this.lane.from);
  }

  drawSounds() {
    const { player } = this;
    const words = { original: "Original", dub: "Dub", voice: "Voice", bed: "Bed" };
    refill(this.sounds, SOUNDS.map((what, at) => button([h("kbd", {}, String(at + 1)), words[what]], () => player.choose(what), { "aria-pressed": String(player.what === what) })));
    this.playButton.textContent = player.playing ? "❚❚" : "▶";
    document.body.dataset.playing = player.mode ?? "";
  }

  drawSaved() {
    const { queue, silent } = this.store;
    const words = silent ? "The server does not answer. Your edits are kept here and sent when it does." : queue.length ? "Storing …" : "All stored";
    this.saved.textContent = words;
    this.saved.className = `saved ${silent ? "bad" : "soft"}`;
  }

  /** Open on the first line that is flagged; the playhead is there, nothing plays. */
  openAt() {
    const first = this.store.lines.find((line) => line.problem) ?? this.store.lines[0];
    if (first) this.grid.activate(first.id);
    this.grid.element.focus({ preventScroll: true });
  }

  chosen(id) {
    const line = this.store.line(id);
    this.inspector.show(line);
    if (this.player.mode !== "film") this.player.seek(line.start);
    this.lane.choose(line);
  }

  playRow({ id, what }) {
    this.grid.activate(id);
    this.player.choose(what);
    this.actions.playLine();
  }

  heard() {
    if (this.player.mode !== "film") return;
    const { time } = this.player;
    const line = this.store.lines.findLast((each) => each.start <= time);
    const typing = document.activeElement === this.grid.box;
    if (line) this.grid.hears(time <= line.end ? line.id : null, !typing);
  }

  found(id) {
    if (!id) return this.grid.element.focus();
    if (!this.filters.lines().some((line) => line.id === id)) this.filters.choose("all");
    return this.grid.activate(id);
  }

  problem(way) {
    const lines = this.filters.lines();
    const at = lines.indexOf(this.store.line(this.grid.active));
    const order = way > 0 ? lines.slice(at + 1) : lines.slice(0, Math.max(0, at)).reverse();
    const next = order.find((line) => line.problem);
    if (next) this.grid.activate(next.id);
    else say(way > 0 ? "No problem after this line." : "No problem before this line.");
  }

  async goTo() {
    const wanted = h("input", { type: "text", placeholder: "12 or 0:01:30" });
    const told = await ask("Go to", field("Number of a line, or a time", wanted), [["Cancel", null], ["Go", () => wanted.value.trim()]]);
    if (!told) return;
    const seconds = told.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
    const line = told.includes(":") ? this.store.lines.findLast((each) => each.start <= seconds) : this.store.lines.find((each) => String(each.index) === told);
    if (line) this.found(line.id);
    else say(`There is no line ${told}.`, "bad");
  }

  async askName() {
    const name = h("input", { type: "text", value: myName(), maxLength: 80 });
    const told = await ask("Your name", field("Name", name, "It stands beside your edits; undo takes back only those under it."),
      [["Cancel", null], ["Keep", () => name.value.trim() || undefined]]);
    if (!told) return;
    setMyName(told);
    this.drawFilm();
  }

  /** Store the text of the active line if it is another. */
  async keepText() {
    clearTimeout(this.grid.rest);
    if (!this.grid.dirty) return true;
    const line = this.store.line(this.grid.active);
    const words = this.grid.box.value.replace(/\s+/g, " ").trim();
    if (!words) {
      say("A line cannot be empty: keep the original (O) or remove the line (Del).", "bad");
      return false;
    }
    this.grid.settleText();
    if (words !== line.dub) this.store.change("line", line.id, "text", words);
    return true;
  }

  async keepAndNext() {
    if ((await this.keepText()) && !this.grid.step(1)) this.grid.element.focus({ preventScroll: true });
  }

  leaveText() {
    clearTimeout(this.grid.rest);
    this.grid.fillBox();
    this.grid.measure();
    this.grid.element.focus({ preventScroll: true });
  }

  async back(way) {
    await this.keepText();
    const fact = await this.store.step(way);
    const verb = way === "undo" ? "Undone" : "Redone";
    if (!fact) return say(way === "undo" ? "Nothing of yours is left to undo." : "Nothing to redo.");
    const line = this.store.line(fact.target_id);
    say(`${verb}: ${fact.field.replaceAll("_", " ")}${line ? ` of line ${line.index}` : ""}.`);
    return line && this.found(line.id);
  }

  busy(id, on) {
    document.getElementById(`line-${id}`)?.setAttribute("aria-busy", String(on));
    const control = this.inspector.element.querySelector("[data-name=hear]");
    if (control) fill(control, on ? "Speaking …" : "Hear it").disabled = on;
  }

  /** A run is over: the dub, its lines and waveforms are others. */
  async finished(fault) {
    this.player.cuts.clear();
    this.player.audio.removeAttribute("src");
    await Promise.all([this.store.loadFilm(), this.store.loadDocuments(), this.store.loadLines()]);
    await this.lane.reload();
    if (fault) say(`The run failed: ${fault}`, "bad");
    else say("Rendered.", "good");
  }

  async loadVoices() {
    try {
      this.voices = (await call(`${this.address.film}/cast`)).voices ?? {};
    } catch {
      return;
    }
    this.inspector.voices = this.voices;
    if (this.grid.active) this.inspector.show(this.store.line(this.grid.active));
  }
}
