// One film in one language: its lines, its edits, and the queue of what is being stored.

import { call, Refusal } from "./api.js";
import { newId, say } from "./dom.js";
import { belongsToSource, history, latest, place, reshapes } from "./facts.js";
import { Line } from "./line.js";

const PAGE = 2000;
const PAUSE_MS = 2000;

/** The name that stands beside a person's facts. */
export function myName() {
  return localStorage.getItem("dubarr.name") || "reviewer";
}

export function setMyName(name) {
  localStorage.setItem("dubarr.name", name);
}

/**
 * Events: `film`, `lines` (all are others), `line` (detail: its id), `saving` (the queue moved).
 *
 * `pick` is asked which of two values of one field is to stay; it answers `mine` or `theirs`.
 */
export class FilmStore extends EventTarget {
  constructor(address, pick) {
    super();
    this.address = address;
    this.pick = pick;
    this.film = null;
    this.lang = null;
    this.lines = [];
    this.documents = new Map();
    this.queue = [];
    this.pumping = null;
    this.stepping = Promise.resolve();
    this.silent = false;
  }

  get source() {
    return this.film.source_language;
  }

  get language() {
    return this.film.languages.find((each) => each.language === this.lang);
  }

  speaker(id) {
    return this.film.speakers.find((each) => each.id === id);
  }

  line(id) {
    return this.byId.get(id);
  }

  async open(lang) {
    await this.loadFilm();
    const known = this.film.languages.map((each) => each.language);
    this.lang = known.includes(lang) ? lang : known[0];
    if (!this.lang) return;
    await Promise.all([this.loadDocuments(), this.loadLines()]);
  }

  async loadFilm() {
    this.film = await call(this.address.film);
    this.tell("film");
  }

  async loadLines() {
    const found = [];
    for (;;) {
      const answer = await call(this.address.lines(this.lang, found.length, PAGE));
      found.push(...answer.lines.map((told) => new Line(told)));
      if (!answer.lines.length || found.length >= answer.total) break;
    }
    this.lines = found;
    this.byId = new Map(found.map((line) => [line.id, line]));
    this.tell("lines");
  }

  async loadDocuments() {
    const load = async (doc) => this.documents.set(doc, await call(this.address.edits(doc)));
    await Promise.all([...new Set([this.lang, this.source])].map(load));
    this.tell("saving");
  }

  /** Read one line again, which a fact has changed. */
  async refresh(id) {
    const at = this.lines.indexOf(this.line(id));
    if (at < 0) return;
    const { lines } = await call(this.address.lines(this.lang, at, 1));
    if (lines[0]?.id !== id) return this.loadLines();
    this.line(id).take(lines[0]);
    this.tell("line", id);
  }

  /** State that a field of a target has this value; null is the machine's own again. */
  change(target, targetId, field, value, doc = belongsToSource(field) ? this.source : this.lang) {
    const fact = { id: newId(), target, target_id: targetId, field, value };
    if (target === "line" && doc === this.lang) {
      this.line(targetId)?.guess(field, value);
      this.tell("line", targetId);
    }
    return this.send(doc, [fact]);
  }

  undo() {
    return this.step("undo");
  }

  redo() {
    return this.step("redo");
  }

  history() {
    return history(this.documents, myName());
  }

  /** One step after the other, however fast the key is pressed. */
  step(way) {
    this.stepping = this.stepping.then(() => this.stepOnce(way));
    return this.stepping;
  }

  async stepOnce(way) {
    await this.pumping;
    const chain = this.history()[way].pop();
    if (!chain) return null;
    const { target, target_id, field } = chain.first;
    await this.send(chain.doc, [
      { id: newId(), target, target_id, field, value: null, undoes: chain.head.id },
    ]);
    return chain.first;
  }

  /** What is said of a field now: the value of the last fact that stands. */
  said(doc, target, targetId, field) {
    const facts = latest(this.documents.get(doc)?.facts ?? []);
    return facts.get(place({ target, target_id: targetId, field }))?.value ?? null;
  }

  /** Store facts, all or none, in the order in which they were stated. */
  send(doc, facts) {
    const batch = { doc, facts };
    batch.stored = new Promise((resolve) => (batch.settle = resolve));
    this.queue.push(batch);
    this.tell("saving");
    this.pumping ??= this.pump().finally(() => (this.pumping = null));
    return batch.stored;
  }

  async pump() {
    while (this.queue.length) {
      const batch = this.queue[0];
      const stored = await this.post(batch);
      if (stored === "again") continue;
      this.queue.shift();
      this.tell("saving");
      await this.follow(batch.facts).catch((problem) => say(problem.message, "bad"));
      batch.settle(stored);
    }
  }

  async post(batch) {
    if (!batch.facts.length) return false;
    try {
      const answer = await call(this.address.edits(batch.doc), { method: "POST", json: this.proposal(batch) });
      this.silent = false;
      this.note(batch, answer.revision);
      return true;
    } catch (problem) {
      if (!(problem instanceof Refusal)) throw problem;
      return this.refused(batch, problem);
    }
  }

  proposal({ doc, facts }) {
    return {
      revision: this.documents.get(doc).revision,
      source_revision: this.documents.get(this.source).revision,
      by: myName(),
      facts,
    };
  }

  async refused(batch, problem) {
    if (problem.status === 0 || problem.status >= 502) {
      this.silent = true;
      this.tell("saving");
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      return "again";
    }
    if (problem.status === 409 && problem.body.facts) {
      await this.meet(batch, problem.body);
      return "again";
    }
    say(`Not stored: ${problem.message}`, "bad");
    return false;
  }

  /** Somebody else was faster: only where both mean the same field must a person pick. */
  async meet(batch, told) {
    const before = new Map(this.documents);
    await this.loadDocuments();
    const theirs = new Map(told.facts.map((fact) => [place(fact), fact]));
    const kept = [];
    for (const fact of batch.facts) {
      const other = theirs.get(place(fact));
      const same = !other || JSON.stringify(other.value) === JSON.stringify(fact.value);
      if (same || (await this.pick(fact, other)) === "mine") kept.push(fact);
    }
    batch.facts = kept;
    const news = [...this.documents].filter(([doc, { revision }]) => before.get(doc)?.revision !== revision);
    if (news.length) await this.follow(told.facts);
  }

  /** Show what facts have changed. */
  async follow(facts) {
    if (!facts.length) return;
    await this.loadFilm();
    const lines = new Set(facts.filter((fact) => fact.target === "line").map((fact) => fact.target_id));
    if (facts.some(reshapes) || lines.size > 3) await this.loadLines();
    else for (const id of lines) await this.refresh(id);
  }

  /** Another page has stored something. */
  async hearOf(doc, revision) {
    await this.pumping;
    const known = this.documents.get(doc);
    if (!known || known.revision >= revision) return;
    const before = known.revision;
    await this.loadDocuments();
    await this.follow(this.documents.get(doc).facts.filter((fact) => fact.revision > before));
  }

  /** Keep what was stored just now; it is the newest, whatever this computer's clock says. */
  note({ doc, facts }, revision) {
    const all = [...this.documents.values()].flatMap((each) => each.facts);
    const newest = Math.max(0, ...all.map((fact) => Date.parse(fact.at)));
    const stated = { by: myName(), at: new Date(newest + 1).toISOString(), revision };
    const document = this.documents.get(doc);
    document.facts.push(...facts.map((fact) => ({ ...fact, ...stated })));
    document.revision = revision;
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
