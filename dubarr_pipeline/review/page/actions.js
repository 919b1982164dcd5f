// What a person can do to the active line; keys and buttons call the same.

import { call, ROOT } from "./api.js";
import { clock, h, say } from "./dom.js";
import { ask, field, select } from "./dialogs.js";

const STEP_S = 0.04;
const EDGE_S = 0.5;

/** `view` is the film's page: its store, player, grid, filters and lane. */
export function lineActions(view) {
  const { store, player, grid } = view;
  const line = () => store.line(grid.active);
  const needLine = (act) => (...given) => (line() ? act(line(), ...given) : say("Choose a line first."));
  const open = (act) => needLine((each, ...given) =>
    each.badges.includes("locked") && given[0] !== "comment"
      ? say(`Line ${each.index} is locked: unlock it first (L).`, "bad") : act(each, ...given));
  const state = (name, value) => store.change("line", grid.active, name, value);
  const startAt = (each, start) => state("start_s", Math.max(0, Number(start.toFixed(3))));
  const edge = (pad, from, to) => needLine((each) => player.playLine(each, { pad, from: from(each), to: to(each) }));
  const nudge = (by) => open((each) => (each.placed ? startAt(each, each.placed[0] + by) : say("This line has no place yet.")));

  return {
    state: open((each, name, value) => state(name, value)),
    startAt: open(startAt),
    playLine: needLine((each) => player.playLine(each)),
    before: edge(EDGE_S, (each) => each.cut(EDGE_S)[0], (each) => each.start),
    after: edge(EDGE_S, (each) => each.end, (each) => each.end + EDGE_S),
    first: edge(0, (each) => each.start, (each) => Math.min(each.end, each.start + EDGE_S)),
    last: edge(0, (each) => Math.max(each.start, each.end - EDGE_S), (each) => each.end),
    startHere: open((each) => startAt(each, player.time)),
    earlier: nudge(-STEP_S),
    later: nudge(STEP_S),
    playTake: needLine((each, take) => player.playAddress(store.address.cut(each.id, store.lang, `take:${take.id}`, 0), each.fit?.start ?? each.start)),
    useTake: open((each, take) => state("take", take.id)),
    nextTake: open((each) => {
      if (each.takes.length < 2) return say("This line has no other take.");
      const next = each.takes[(each.takes.indexOf(each.chosen) + 1) % each.takes.length];
      return state("take", next.id);
    }),
    keepOriginal: open((each) => state("keep_original", each.edits.keep_original ? null : true)),
    lock: needLine((each) => {
      const locked = each.badges.includes("locked");
      return state("locked", locked ? null : { text: each.dub || null, take: each.chosen?.id ?? null });
    }),
    remove: open((each) => {
      say(`Line ${each.index} is taken out: Ctrl+Z brings it back.`);
      return state("remove", true);
    }),
    hear: open((each) => hear(view, each)),
    split: open((each) => split(view, each)),
    merge: open((each) => merge(view, each)),
    add: () => add(view),
    correct: needLine((each) => correct(store, each)),
  };
}

/** Speak the line now with the words and the voice that it is to have. */
async function hear(view, line) {
  const { store, player } = view;
  if (!(await view.keepText())) return;
  const json = { lang: store.lang, text: line.dub };
  if (line.edits.voice) json.voice = line.edits.voice;
  view.busy(line.id, true);
  try {
    const answer = await call(`${store.address.film}/lines/${encodeURIComponent(line.id)}/try`, { method: "POST", json });
    const sound = answer.sound.startsWith("/") ? answer.sound : `${ROOT}/${answer.sound}`;
    const words = [answer.failure && `it would fail: ${answer.failure.replaceAll("_", " ")}`, ...(answer.refused ?? [])].filter(Boolean);
    if (words.length) say(`Line ${line.index}: ${words.join("; ")}.`, "bad");
    await player.playAddress(sound, line.start);
  } catch (problem) {
    say(problem.message, "bad");
  } finally {
    view.busy(line.id, false);
  }
}

/** Where the original is cut: at the playhead if it is inside, else where the words are cut. */
async function split(view, line) {
  const { store, player, grid } = view;
  const words = line.original;
  const share = grid.box.value.length ? grid.box.selectionStart / grid.box.value.length : 0.5;
  const at = nearestGap(words, share);
  const text = h("textarea", { rows: 3, value: words });
  text.setSelectionRange(at, at);
  const inside = player.time > line.start + 0.05 && player.time < line.end - 0.05;
  const time = inside ? player.time : line.start + (line.end - line.start) * (at / words.length);
  const when = h("input", { type: "number", step: 0.01, min: line.start, max: line.end, value: time.toFixed(2) });
  const value = () => {
    const cut = [text.value.slice(0, text.selectionStart).trim(), text.value.slice(text.selectionStart).trim()];
    const at_s = Number(when.value);
    if (cut[0] && cut[1] && at_s > line.start && at_s < line.end) return { at_s, texts: cut };
    say("Put the cursor between two words, and the time inside the line.", "bad");
    return undefined;
  };
  const told = await ask(`Split line ${line.index}`, [
    field("Original: put the cursor where the second line begins", text),
    field("The second line begins at, s", when, `The line lasts from ${clock(line.start, 2)} to ${clock(line.end, 2)}. Both pieces are spoken at the next render.`),
  ], [["Cancel", null], ["Split", value]]);
  if (told) await store.change("line", line.id, "split", told);
}

function nearestGap(words, share) {
  const wanted = Math.round(words.length * share);
  const gaps = [...words.matchAll(/\s+/g)].map((gap) => gap.index + gap[0].length);
  const inner = gaps.filter((gap) => gap > 0 && gap < words.length);
  return inner.sort((one, other) => Math.abs(one - wanted) - Math.abs(other - wanted))[0] ?? wanted;
}

async function merge(view, line) {
  const { store } = view;
  const next = store.lines[store.lines.indexOf(line) + 1];
  if (!next) return say("There is no line after this one.");
  const text = h("textarea", { rows: 3, value: `${line.original} ${next.original}` });
  const other = next.speaker === line.speaker ? null
    : h("p", {}, `Line ${next.index} is another speaker's (${store.speaker(next.speaker)?.name ?? next.speaker}); the whole line becomes ${store.speaker(line.speaker)?.name ?? line.speaker}'s.`);
  const told = await ask(`Merge lines ${line.index} and ${next.index}`, [other, field("Original of the whole line", text)],
    [["Cancel", null], ["Merge", () => text.value.trim() || undefined]]);
  if (told) await store.change("line", line.id, "merge", { with: [next.id], text: told });
  return told;
}

async function add(view) {
  const { store, player } = view;
  const start = player.time;
  const text = h("textarea", { rows: 3, autofocus: true });
  const from = h("input", { type: "number", step: 0.01, min: 0, value: start.toFixed(2) });
  const to = h("input", { type: "number", step: 0.01, min: 0, value: (start + 2).toFixed(2) });
  const who = select(store.film.speakers.map((each) => [each.id, each.name || each.id]), store.line(view.grid.active)?.speaker);
  const value = () => {
    const made = { start_s: Number(from.value), end_s: Number(to.value), text: text.value.trim(), speaker: who.value };
    if (made.text && made.end_s > made.start_s) return made;
    say("Write what is said, and a time that ends after it begins.", "bad");
    return undefined;
  };
  const told = await ask("Add a line", [
    field("What is said, in the film's language", text), field("Speaker", who),
    h("div", { class: "pair" }, field("From, s", from), field("To, s", to)),
  ], [["Cancel", null], ["Add", value]]);
  if (told) await store.change("film", "", "add", told);
}

async function correct(store, line) {
  const text = h("textarea", { rows: 4, value: line.original, lang: store.source });
  const told = await ask(`Original of line ${line.index}`,
    field("What is said, in the film's language", text, "It is translated and spoken again in every language, but where a person has worded it."),
    [["Cancel", null], ["Keep", () => text.value.trim() || undefined]]);
  if (told && told !== line.original) await store.change("line", line.id, "text", told, store.source);
}

/** Two people have changed one field: both values are shown, and a person picks. */
export function pickOne(words) {
  return async (mine, theirs) => {
    const told = await ask("Somebody else changed this too", [
      h("p", {}, `${theirs.by} has stored another ${mine.field.replaceAll("_", " ")} while you worked. Which one stays?`),
      h("dl", { class: "both" }, h("dt", {}, `Theirs (${theirs.by})`), h("dd", {}, words(theirs.value)), h("dt", {}, "Yours"), h("dd", {}, words(mine.value))),
    ], [["Keep theirs", "theirs"], ["Keep mine", "mine"]]);
    return told ?? "theirs";
  };
}
