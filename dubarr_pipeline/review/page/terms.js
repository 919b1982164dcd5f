// Words for the whole film: how a term is rendered, and how a word is said.

import { button, h, say } from "./dom.js";
import { field, panel, select } from "./dialogs.js";
import { latest } from "./facts.js";

const KINDS = { rendering: "is rendered as", pronunciation: "is said as" };

export function openTerms(store) {
  panel("Words for the whole film", (redraw) => {
    const facts = [...latest(store.documents.get(store.lang).facts).values()].filter((fact) => fact.target === "term");
    const rows = facts.map((fact) => h("tr", {},
      h("td", {}, fact.target_id), h("td", { class: "soft" }, KINDS[fact.field]), h("td", { lang: store.lang }, String(fact.value)),
      h("td", {}, button("Take out", () => state(fact.target_id, fact.field, null), { label: `Take out ${fact.target_id}` }))));
    const term = h("input", { type: "text", maxLength: 200 });
    const words = h("input", { type: "text", maxLength: 200, lang: store.lang });
    const kind = select(Object.entries(KINDS), "rendering");
    const state = async (id, name, value) => {
      await store.change("term", id, name, value);
      redraw();
    };
    const add = () => {
      if (!term.value.trim() || !words.value.trim()) return say("Write the term and its words.", "bad");
      return state(term.value.trim(), kind.value, words.value.trim());
    };
    return [
      h("p", { class: "soft" }, "They hold for every line of this language that nobody has worded or locked. Render speaks only the lines that say them."),
      facts.length ? h("table", {}, rows) : h("p", { class: "state" }, "No terms yet."),
      h("div", { class: "inline" }, field("Term", term), field("It", kind), field("Words", words), button("Add", add)),
    ];
  });
}
