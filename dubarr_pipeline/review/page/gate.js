// The gate before publishing: its state, why, and a person's decision.

import { call } from "./api.js";
import { button, h, refill, say } from "./dom.js";
import { ask, field } from "./dialogs.js";
import { myName } from "./store.js";

const WORDS = {
  passed: ["Passed", "good"], approved: ["Approved", "good"],
  held: ["Held", "over"], unknown: ["Not judged yet", ""],
};

export class Gate {
  constructor(store) {
    this.store = store;
    this.element = h("section", { class: "gate", "aria-label": "Gate before publishing" });
  }

  show() {
    const { gate } = this.store.film;
    const [words, tone] = WORDS[gate.state] ?? [gate.state, ""];
    const [first, ...others] = gate.reasons;
    const more = others.length
      ? h("details", {}, h("summary", {}, `${others.length} more`), h("ul", {}, others.map((each) => h("li", {}, each))))
      : null;
    refill(this.element, h("span", { class: `badge ${tone}` }, words),
      first ? h("span", { class: "reason" }, first) : null, more,
      gate.note ? h("span", { class: "soft" }, `Note: ${gate.note}`) : null,
      h("span", { class: "gap" }),
      h("a", { href: this.store.address.media("qc.html"), target: "_blank", rel: "noopener" }, "QC sheet"),
      button("Hold …", () => this.decide("hold")), button("Approve …", () => this.decide("approve")));
  }

  async decide(action) {
    // What is on the page now is what the person has seen, whatever ends meanwhile.
    const { result } = this.store.film.gate;
    const note = h("textarea", { rows: 3, maxLength: 2000 });
    const verb = action === "approve" ? "Approve" : "Hold";
    const words = action === "approve"
      ? "An approved film is published even where the gate held it."
      : "A film that is held is not published until somebody approves it.";
    const told = await ask(`${verb} this film`, [h("p", {}, words), field("Note, for whoever asks why", note)],
      [["Cancel", null], [verb, () => note.value.trim()]]);
    if (told === null) return;
    try {
      await call(`${this.store.address.film}/gate`, { method: "POST", json: { action, note: told, by: myName(), result } });
      say(action === "approve" ? "Approved." : "Held.", "good");
    } catch (problem) {
      say(problem.message, "bad");
    }
    await this.store.loadFilm().catch((problem) => say(problem.message, "bad"));
  }
}
