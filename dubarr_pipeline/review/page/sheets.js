// Sheets out and in: a translator works in a spreadsheet, and sees first what would change.

import { call } from "./api.js";
import { button, counted, h, say } from "./dom.js";
import { field, panel } from "./dialogs.js";
import { myName } from "./store.js";

const FORMATS = [["csv", "CSV"], ["xlsx", "Excel (XLSX)"], ["srt", "Subtitles (SRT)"]];

export function openSheets(store) {
  let told = null;
  panel("Sheets out and in", (redraw, close) => {
    const links = FORMATS.map(([format, words]) =>
      h("a", { class: "button", href: store.address.media(`export.${format}?lang=${store.lang}`), download: "" }, words));
    const file = h("input", { type: "file", accept: ".csv,.xlsx,.srt" });
    const send = async (dry) => {
      const chosen = told?.file ?? file.files[0];
      if (!chosen) return say("Choose a file first.", "bad");
      const format = chosen.name.split(".").pop().toLowerCase();
      // Subtitles bear the revision that they went out with in their name.
      const revision = /\.r(\d+)\b[^.]*\.srt$/i.exec(chosen.name)?.[1] ?? "-1";
      try {
        const asked = new URLSearchParams({ lang: store.lang, dry: dry ? "1" : "0", format, by: myName(), revision });
        const answer = await call(`${store.address.film}/import?${asked}`, { method: "POST", body: chosen, type: "application/octet-stream" });
        told = { file: chosen, ...answer };
      } catch (problem) {
        const words = problem.status === 409 && problem.body.facts ? "somebody stored edits meanwhile: look again at what would change" : problem.message;
        told = { file: chosen, errors: problem.body.errors ?? [{ id: "", message: words }] };
      }
      if (dry || told.errors?.length) return redraw();
      close();
      say(`${counted(told.facts, "change")} stored.`, "good");
      await store.loadDocuments();
      return store.follow(store.documents.get(store.lang).facts.slice(-told.facts));
    };
    return [
      h("h3", {}, "Out"), h("div", { class: "actions" }, links),
      h("h3", {}, "In"),
      told ? result(told, () => send(false), () => { told = null; redraw(); })
        : h("div", { class: "inline" }, field("A sheet that was written here", file), button("See what would change", () => send(true))),
    ];
  });
}

function result(told, apply, again) {
  if (told.errors?.length) {
    const rows = told.errors.map((each) => h("li", {}, each.id ? h("b", {}, `${each.id}: `) : null, each.message));
    return [h("p", { class: "bad" }, `Nothing is taken from ${told.file.name}: ${counted(told.errors.length, "error")}.`), h("ul", { class: "long" }, rows), button("Another file", again)];
  }
  const words = told.facts ? `${told.file.name} changes ${counted(told.facts, "field")}.` : `${told.file.name} changes nothing.`;
  const locked = told.locked?.length ? h("p", { class: "soft" }, `${counted(told.locked.length, "locked line")} would change and stay as they are.`) : null;
  return [h("p", {}, words), locked, h("div", { class: "actions" }, button("Another file", again), told.facts ? button("Store them", apply, { class: "main" }) : null)];
}
