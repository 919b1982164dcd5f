// Edits whose line was not found again after a rerun: a person says where they go.

import { button, clock, counted, fill, h, newId } from "./dom.js";
import { valueWords } from "./inspector.js";

const REASONS = { gone: "its words are not said any more", recut: "its words are divided otherwise", ambiguous: "several lines may be meant" };

export class Orphans {
  constructor(store) {
    this.store = store;
    this.element = h("section", { class: "orphans", "aria-label": "Edits without a line", hidden: true });
  }

  show() {
    const found = this.store.language?.orphans ?? [];
    this.element.hidden = !found.length;
    fill(this.element, h("details", { open: found.length < 4 },
      h("summary", {}, `${counted(found.length, "line")} with edits ${found.length === 1 ? "was" : "were"} not found again: what was stated of it is not applied.`),
      h("ul", {}, found.map((orphan) => this.row(orphan)))));
  }

  row(orphan) {
    const facts = this.facts(orphan);
    const line = this.store.line(orphan.candidate);
    const words = facts.map(({ fact }) => `${fact.field.replaceAll("_", " ")}: ${valueWords(fact.value)}`).join("; ");
    return h("li", {},
      h("span", {}, `${clock(orphan.anchor?.start_s ?? 0)} “${orphan.anchor?.text ?? ""}”: ${REASONS[orphan.reason] ?? orphan.reason}. `, h("b", {}, words)),
      line ? button(`Put it on line ${line.index}: “${line.original}”`, () => this.settle(orphan, line.id)) : null,
      button("Drop it", () => this.settle(orphan, null)));
  }

  facts(orphan) {
    return [...this.store.documents].flatMap(([doc, { facts }]) =>
      facts.filter((fact) => orphan.facts.includes(fact.id)).map((fact) => ({ doc, fact })));
  }

  /** Take the facts back, and state them again of another line if one is given. */
  async settle(orphan, id) {
    for (const [doc] of this.store.documents) {
      const mine = this.facts(orphan).filter((each) => each.doc === doc).map((each) => each.fact);
      const batch = mine.flatMap(({ id: undoes, target, target_id, field, value }) => [
        { id: newId(), target, target_id, field, value: null, undoes },
        ...(id ? [{ id: newId(), target, target_id: id, field, value }] : []),
      ]);
      if (batch.length) await this.store.send(doc, batch);
    }
    this.show();
  }
}
