// The active line in full: its words, takes, voice, speaker, place and loudness, and who said what.

import { button, clock, counted, fill, h } from "./dom.js";
import { field, select } from "./dialogs.js";
import { place, standing } from "./facts.js";

/** `acts` are the things that a person can do to the line; the same ones that the keys do. */
export class Inspector {
  constructor(store, acts) {
    this.store = store;
    this.acts = acts;
    this.voices = {};
    this.element = h("aside", { class: "inspector", "aria-label": "The active line" });
  }

  show(line) {
    const open = this.element.querySelector("details")?.open ?? false;
    if (!line) return fill(this.element, h("p", { class: "state" }, "Choose a line to see its takes, voice and place."));
    const scrolled = line.id === this.shown ? this.element.scrollTop : 0;
    this.shown = line.id;
    const held = this.element.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    fill(this.element, this.head(line), this.takes(line), this.voice(line), this.sound(line), this.shape(line), this.comment(line), this.past(line, open));
    this.element.scrollTop = scrolled;
    if (held) this.element.querySelector(`[data-name="${held}"]`)?.focus({ preventScroll: true });
    return this.element;
  }

  head(line) {
    const locked = line.badges.includes("locked");
    const toggles = [
      ["Keep original", "O", line.edits.keep_original === true, this.acts.keepOriginal],
      ["Lock", "L", locked, this.acts.lock],
    ];
    return h("section", {},
      h("h2", {}, `Line ${line.index}`, h("small", {}, `${clock(line.start, 2)} to ${clock(line.end, 2)}`)),
      h("p", { class: "source", lang: this.store.source }, line.original,
        line.kind === "speech" ? null : h("span", { class: "tag" }, line.kind)),
      h("div", { class: "actions" },
        button("Hear it", this.acts.hear, { class: "main", label: "Speak this line now, without a run (R)", "data-name": "hear" }),
        toggles.map(([words, key, on, act]) => button(words, act, { "aria-pressed": String(on), title: `${words} (${key})`, "data-name": words })),
        button("Remove", this.acts.remove, { label: "Remove this line (Del)", "data-name": "remove" })),
      line.reasons ? h("p", { class: line.failed ? "bad" : "soft" }, line.reasons) : null);
  }

  takes(line) {
    const rows = line.takes.map((take) => {
      const chosen = take === line.chosen;
      return h("li", { class: chosen ? "chosen" : "" },
        button("▶", () => this.acts.playTake(take), { class: "play", label: `Play this take, ${take.duration_s.toFixed(2)} s`, "data-name": `play-${take.id}` }),
        h("div", {}, h("span", { lang: this.store.lang }, take.text),
          h("small", {}, [`${take.duration_s.toFixed(2)} s`, take.verdict, ...take.faults].filter(Boolean).join(" · "))),
        chosen ? h("span", { class: "tag" }, "chosen") : button("Use", () => this.acts.useTake(take), { "data-name": `use-${take.id}` }));
    });
    return h("section", {}, h("h3", {}, line.takes.length ? counted(line.takes.length, "take") : "No takes yet"),
      rows.length ? h("ul", { class: "takes" }, rows) : null);
  }

  voice(line) {
    const speakers = this.store.film.speakers.map((each) => [each.id, each.name || each.id]);
    const own = this.store.speaker(line.speaker)?.voices[this.store.lang];
    const known = [...new Set([...(this.voices[this.store.lang] ?? []), line.edits.voice].filter(Boolean))];
    const voices = [["", own ? `as the speaker: ${own}` : "as the speaker"], ...known.map((name) => [name, name])];
    const chooser = select(speakers, line.speaker, (value) => this.acts.state("speaker", value));
    chooser.dataset.name = "speaker";
    const voice = select(voices, line.edits.voice ?? "", (value) => this.acts.state("voice", value || null));
    voice.dataset.name = "voice";
    return h("section", { class: "pair" }, field("Speaker", chooser), field("Voice of this line", voice));
  }

  sound(line) {
    const fit = line.fit ?? {};
    const start = line.edits.start_s ?? fit.start;
    const number = (name, value, { min, max, step, unit }) => {
      const made = h("input", {
        type: "number", min, max, step, value: value ?? "", "data-name": name,
        onchange: (event) => this.acts.state(name, event.target.value === "" ? null : Number(event.target.value)),
      });
      return field(unit, made);
    };
    const seconds = (words, value) => (typeof value === "number" ? `${words} ${value.toFixed(2)} s` : "");
    return h("section", { class: "triple" },
      number("start_s", start === undefined || start === null ? null : Number(start.toFixed(3)), { min: 0, max: this.store.film.duration_s, step: 0.04, unit: "Start, s" }),
      number("tempo", line.edits.tempo ?? (fit.tempo ? Number(fit.tempo.toFixed(3)) : null), { min: 0.5, max: 2, step: 0.01, unit: "Tempo, ×" }),
      number("gain_db", line.edits.gain_db ?? 0, { min: -12, max: 12, step: 0.5, unit: "Gain, dB" }),
      fit.budget_s ? h("small", { class: "note" }, `Window ${fit.budget_s.toFixed(2)} s${seconds(", predicted", fit.predicted_s)}${seconds(", measured", fit.measured_s)}. An empty field is the machine's choice.`) : null);
  }

  shape(line) {
    return h("section", {}, h("div", { class: "actions" },
      button("Split …", this.acts.split, { title: "Split this line (Ctrl+Alt+V)", "data-name": "split" }),
      button("Merge with next …", this.acts.merge, { title: "Merge with the next line (Ctrl+Alt+M)", "data-name": "merge" }),
      button("Add a line …", this.acts.add, { title: "Add a line at the playhead (Alt+Insert)", "data-name": "add" }),
      button("Correct the original …", this.acts.correct, { "data-name": "correct" })));
  }

  comment(line) {
    const store = (event) => {
      const words = event.target.value.trim();
      if (words !== (line.edits.comment ?? "")) this.acts.state("comment", words || null);
    };
    this.note = h("textarea", { rows: 2, value: line.edits.comment ?? "", onblur: store, "data-name": "comment",
      onkeydown: (event) => { if (event.key === "Escape") { event.target.value = line.edits.comment ?? ""; event.target.blur(); } } });
    return h("section", {}, field("Comment (C)", this.note));
  }

  past(line, open) {
    const facts = [...this.store.documents.values()].flatMap((each) => each.facts)
      .filter((fact) => fact.target === "line" && fact.target_id === line.id);
    if (!facts.length) return null;
    const current = new Map(standing(facts).map((fact) => [place(fact), fact.id]));
    const rows = [...facts].reverse().map((fact) => h("li", { class: current.get(place(fact)) === fact.id ? "" : "soft" },
      `${fact.by}: ${fact.undoes ? "took back or stated again" : "set"} ${fact.field.replaceAll("_", " ")}`,
      fact.undoes ? null : h("b", {}, ` ${valueWords(fact.value)}`)));
    return h("details", { open }, h("summary", {}, `History, ${counted(facts.length, "fact")}`), h("ul", {}, rows));
  }
}

/** A value of a fact as a person reads it. */
export function valueWords(value) {
  if (value === null || value === undefined) return "as the machine has it";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "object") return value.texts?.join(" | ") ?? value.text ?? value.with?.join(", ") ?? JSON.stringify(value);
  return String(value);
}
