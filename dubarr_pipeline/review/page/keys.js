// The keys: letters work in the grid, chords everywhere; F5, F11, F12, Ctrl+R and Alt+← are the browser's.

import { h } from "./dom.js";
import { panel } from "./dialogs.js";

const LIST = [
  ["↑ ↓ (in text: Alt)", "previous, next line"], ["Space (in text: Ctrl)", "play, pause"], ["← →", "one second back, on"],
  ["S", "play the line"], ["Q W", "half a second before it, after it"], ["E D", "its first, its last half second"],
  ["1 2 3 4", "hear original, dub, voice, bed; the playhead stays"], ["Enter", "edit the text; in the text: keep it, next line"],
  ["Esc", "the text as it was, back to the grid"], ["R (in text: Ctrl+Enter)", "hear the line with this text, without a run"],
  ["F8, Shift+F8", "next, previous problem"], ["Ctrl+Z, Ctrl+Y", "undo, redo, to the beginning"], ["T", "next take"],
  ["O", "keep the original, or not"], ["L", "lock, unlock"], ["C", "comment"], ["Del", "remove the line; Ctrl+Z brings it back"],
  ["[", "start the dub at the playhead"], [", .", "start 40 ms earlier, later"], ["Ctrl+Alt+V", "split the line at the cursor"],
  ["Ctrl+Alt+M", "merge with the next line"], ["Alt+Insert", "add a line at the playhead"], ["Ctrl+F, F3", "find in all lines, next match"],
  ["Ctrl+G", "go to a line or a time"], ["F1", "these keys"],
];

export function openKeys() {
  panel("Keys", () => h("table", { class: "keys" }, LIST.map(([keys, words]) => h("tr", {}, h("th", {}, keys), h("td", {}, words)))));
}

const CHORDS = {
  F8: "nextProblem", "Shift+F8": "previousProblem", F1: "keys", F3: "nextMatch", "Ctrl+F": "find", "Ctrl+G": "goTo",
  "Ctrl+Y": "redo", "Ctrl+Shift+Z": "redo", "Ctrl+Z": "undo", "Ctrl+Alt+V": "split", "Ctrl+Alt+M": "merge",
  "Alt+Insert": "add", "Ctrl+Space": "toggle", "Ctrl+Enter": "hear", "Alt+ArrowUp": "up", "Alt+ArrowDown": "down",
};

const LETTERS = {
  ArrowUp: "up", ArrowDown: "down", " ": "toggle", ArrowLeft: "back", ArrowRight: "on", S: "playLine", Q: "before", W: "after",
  E: "first", D: "last", 1: "original", 2: "dub", 3: "voice", 4: "bed", Enter: "edit", R: "hear", "[": "startHere",
  ",": "earlier", ".": "later", T: "nextTake", O: "keepOriginal", L: "lock", C: "comment", Delete: "remove",
};

const TYPED_IN = "input, textarea, select, [contenteditable]";
const PRESSED = "button, a, summary, select";

/** Call the action of each key; `box` is the text of the active line. */
export function listen(actions, box) {
  const pressed = (event) => {
    if (event.isComposing || document.querySelector("dialog[open]")) return;
    const inBox = event.target === box;
    const name = nameOf(event, inBox);
    if (!name || !actions[name]) return;
    event.preventDefault();
    actions[name]();
  };
  document.addEventListener("keydown", pressed);
  return () => document.removeEventListener("keydown", pressed);
}

function nameOf(event, inBox) {
  const key = keyOf(event);
  const chord = (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + (event.altKey ? "Alt+" : "") + (event.shiftKey ? "Shift+" : "") + key;
  const typing = event.target.matches?.(TYPED_IN);
  if (chord === "Ctrl+Z" || chord === "Ctrl+Y" || chord === "Ctrl+Shift+Z") return typing && !inBox ? null : textOr(event, CHORDS[chord], inBox);
  if (inBox && key === "Enter" && chord === "Enter") return "keep";
  if (inBox && chord === "Escape") return "leave";
  if (CHORDS[chord]) return CHORDS[chord];
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return null;
  if ((key === " " || key === "Enter") && event.target.matches?.(PRESSED)) return null;
  return LETTERS[key] ?? null;
}

/** While the text differs from what is stored, its own undo goes first. */
function textOr(event, name, inBox) {
  return inBox && event.target.dataset.dirty === "yes" ? null : name;
}

/** Letters by what they write, in chords by where they lie: AltGr makes other signs of them. */
function keyOf(event) {
  if (event.key === " " || event.code === "Space") return event.ctrlKey ? "Space" : " ";
  if ((event.ctrlKey || event.altKey) && /^Key[A-Z]$/.test(event.code)) return event.code.slice(3);
  return event.key.length === 1 ? event.key.toUpperCase() : event.key;
}
