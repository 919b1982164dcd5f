// Render: starts what is needed, shows how far it is, and hears what other pages store.

import { call } from "./api.js";
import { button, fill, h, say } from "./dom.js";

export class Runs {
  constructor(store, finished) {
    this.store = store;
    this.finished = finished;
    this.running = store.film.running;
    this.asked = null;
    this.element = h("span", { class: "runs" });
  }

  show() {
    this.running ||= this.store.film.running;
    const stale = this.store.film.languages.some((each) => each.stale);
    if (!this.running) {
      return fill(this.element, button(stale ? "Render" : "Rendered", () => this.render(),
        { class: stale ? "main" : "", disabled: !stale, title: stale ? "Redo what the edits changed, and nothing else" : "The dub holds all edits" }));
    }
    const { stage, done, total } = this.progress ?? {};
    const bar = h("progress", total ? { max: total, value: done, "aria-label": "Progress of the run" } : { "aria-label": "Progress of the run" });
    return fill(this.element, h("span", { class: "soft" }, stage ? `${stage} ${total ? `${done}/${total}` : ""}` : "Rendering …"), bar);
  }

  /** Start a run. Its end may be told before the answer to this call. */
  async render() {
    if (this.running) return say("A run is at work already.");
    this.running = true;
    this.progress = null;
    this.show();
    this.asked = call(`${this.store.address.film}/render`, { method: "POST", json: {} }).catch((problem) => {
      this.running = false;
      say(problem.message, "bad");
      return this.show();
    });
    return this.asked;
  }

  /** Listen while the page is seen: a browser has six connections to a server, for all its tabs. */
  listen() {
    let events = null;
    let missed = false;
    const turn = () => {
      const seen = document.visibilityState === "visible";
      if (seen && !events) {
        events = new EventSource(this.store.address.media("events"));
        events.onmessage = ({ data }) => this.hear(JSON.parse(data));
        events.onerror = () => { missed = true; };
        events.onopen = () => {
          if (missed || this.running) this.catchUp().catch((problem) => say(problem.message, "bad"));
          missed = false;
        };
      } else if (!seen && events) {
        events.close();
        events = null;
        missed = true;
      }
    };
    turn();
    document.addEventListener("visibilitychange", turn);
    addEventListener("pagehide", () => events?.close());
  }

  /** Ask for what was told while the server could not be heard. */
  async catchUp() {
    const { store } = this;
    await this.asked;
    await store.loadFilm();
    const { film, language } = store;
    await store.hearOf(language.language, language.revision);
    await store.hearOf(store.source, film.source_revision);
    if (!this.running || film.running) return;
    this.hear({ type: "finished", fault: language.stale ? "the dub still lacks edits" : "" });
  }

  hear(told) {
    if (told.type === "edits") this.store.hearOf(told.lang, told.revision).catch((problem) => say(problem.message, "bad"));
    else if (told.type === "run") {
      this.running = true;
      this.progress = told;
      this.show();
    } else if (told.type === "finished") {
      this.running = false;
      this.store.film.running = false;
      this.progress = null;
      this.show();
      this.finished(told.fault).catch((problem) => say(problem.message, "bad"));
    }
  }
}
