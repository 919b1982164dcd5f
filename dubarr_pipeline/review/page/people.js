// The speakers of a film: their names and voices, and two that are one.

import { button, colour, counted, h } from "./dom.js";
import { ask, field, panel, select } from "./dialogs.js";

export function openPeople(store, voices) {
  panel("Speakers", (redraw) => {
    const rows = store.film.speakers.map((each) => row(store, each, voices, redraw));
    return h("table", { class: "people" },
      h("thead", {}, h("tr", {}, ["Speaker", "Name", "Lines", "Voice", ""].map((words) => h("th", {}, words)))),
      h("tbody", {}, rows));
  });
}

function row(store, speaker, voices, redraw) {
  const state = async (name, value) => {
    await store.change("speaker", speaker.id, name, value);
    redraw();
  };
  const dot = h("span", { class: "dot" });
  dot.style.background = colour(speaker.colour);
  const name = h("input", {
    type: "text", value: speaker.name ?? "", maxLength: 200, "aria-label": `Name of ${speaker.id}`,
    onchange: (event) => state("name", event.target.value.trim() || null),
  });
  return h("tr", {}, h("td", {}, dot, speaker.id), h("td", {}, name), h("td", {}, String(speaker.lines)),
    h("td", {}, voiceChooser(store, speaker, voices, (value) => state("voice", value))),
    h("td", {}, button("Merge …", async () => { if (await mergeSpeakers(store, speaker)) redraw(); }, { label: `Merge ${speaker.name || speaker.id} with another` })));
}

export function voiceChooser(store, speaker, voices, chosen) {
  const own = speaker.voices[store.lang];
  const said = store.said(store.lang, "speaker", speaker.id, "voice");
  const known = [...new Set([...(voices[store.lang] ?? []), said, own].filter(Boolean))];
  const chooser = select([["", said || !own ? "the machine's choice" : `the machine's: ${own}`], ...known.map((each) => [each, each])], said ?? "", (value) => chosen(value || null));
  chooser.setAttribute("aria-label", `Voice of ${speaker.name || speaker.id}`);
  return chooser;
}

/** Two speakers are one person: ask which, and whose name and voice stay. */
export async function mergeSpeakers(store, speaker) {
  const others = store.film.speakers.filter((each) => each.id !== speaker.id);
  if (!others.length) return false;
  const words = (each) => `${each.name || each.id}, ${counted(each.lines, "line")}`;
  const other = select(others.map((each) => [each.id, words(each)]), others[0].id);
  const picked = await ask(`Merge ${speaker.name || speaker.id}`, field("With", other), [["Cancel", null], ["Next", () => other.value]]);
  if (!picked) return false;
  const second = store.speaker(picked);
  const voice = (each) => `${each.name || each.id} (voice: ${each.voices[store.lang] ?? "none yet"})`;
  const stays = await ask("Whose name and voice stay?",
    h("p", {}, "All lines of both are then theirs. Lines that change their voice are spoken again at the next render."),
    [["Cancel", null], [voice(second), picked], [voice(speaker), speaker.id]]);
  if (!stays) return false;
  const gone = stays === speaker.id ? picked : speaker.id;
  return store.change("speaker", stays, "merge", { with: [gone] });
}
