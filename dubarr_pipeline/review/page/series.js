// The memory of a series: its characters, and speakers of films of whom it is not sure.

import { call } from "./api.js";
import { button, counted, fill, h, languageName, say } from "./dom.js";
import { myName } from "./store.js";

/** What a correction says of a speaker who is nobody that is known. */
const NEW = "new";

export class Series {
  constructor(store) {
    this.store = store;
    this.element = h("section", { hidden: true });
  }

  get address() {
    return `/series/${encodeURIComponent(this.store.film.series)}/cast`;
  }

  async load() {
    if (!this.store.film.series) return;
    try {
      this.draw(await call(this.address));
    } catch (problem) {
      say(problem.message, "bad");
    }
  }

  async correct(target, field, value) {
    try {
      const corrections = [{ target, field, value }];
      this.draw(await call(this.address, { method: "PUT", json: { by: myName(), corrections } }));
    } catch (problem) {
      say(problem.message, "bad");
    }
  }

  draw(memory) {
    this.element.hidden = false;
    const names = new Map(memory.characters.map((each) => [each.id, each.name || each.id]));
    fill(this.element, h("h2", {}, `The series ${memory.title}`),
      memory.unsure.map((each) => this.question(each, memory, names)),
      memory.characters.length ? this.table(memory) : h("p", { class: "state" }, "The series remembers nobody yet."),
      memory.to_respeak.length
        ? h("p", { class: "soft" }, `Corrections count in films to come. Not yet in: ${memory.to_respeak.map((key) => memory.films[key] ?? key).join(", ")}.`)
        : null);
  }

  question({ film, speaker, proposed, why }, memory, names) {
    const target = `${film}/${speaker}`;
    return h("p", { class: "question" }, `${speaker} in ${memory.films[film] ?? film}: ${why}`,
      proposed ? button(`It is ${names.get(proposed) ?? proposed}`, () => this.correct(target, "character", proposed)) : null,
      button("Somebody else", () => this.correct(target, "character", NEW)));
  }

  table({ characters }) {
    const rows = characters.map((each) => {
      const name = h("input", {
        type: "text", value: each.name ?? "", placeholder: each.id, maxLength: 200, "aria-label": `Name of ${each.id} in the series`,
        onchange: (event) => this.correct(each.id, "name", event.target.value.trim() || null),
      });
      const voices = Object.entries(each.voices).map(([lang, voice]) => `${languageName(lang)}: ${voice}`);
      return h("tr", {}, h("td", {}, name), h("td", {}, each.gender ?? ""), h("td", {}, voices.join(", ")), h("td", {}, counted(each.films, "film")));
    });
    const head = h("tr", {}, ["Character", "", "Voices", "Heard in"].map((words) => h("th", {}, words)));
    return h("table", {}, h("thead", {}, head), h("tbody", {}, rows));
  }
}
