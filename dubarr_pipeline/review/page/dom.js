// Builds the page. Words become text nodes here and nowhere markup, so no subtitle can be a tag.

/**
 * An element with its properties and children.
 *
 * `on…` adds a listener, `class`, `role`, `aria-…`, `data-…`, `for` and `colspan` are attributes,
 * everything else is a property. Children are elements, words, or nothing.
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (/^(class|role|for|list|colspan|aria-|data-)/.test(name)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Fill it anew; the focus stays on the control in the same place, and is not lost to the page. */
export function refill(element, ...children) {
  const controls = () => [...element.querySelectorAll("button, a, input, select, textarea, summary")];
  const held = controls().indexOf(document.activeElement);
  fill(element, ...children);
  controls()[held]?.focus({ preventScroll: true });
  return element;
}

/** A button with words on it, or a sign with `label` as its words. */
export function button(words, onclick, properties = {}) {
  const { label, ...others } = properties;
  return h("button", { type: "button", onclick, "aria-label": label, title: label, ...others }, words);
}

/** Words for a person who reads or hears the page, gone after a while. */
export function say(words, kind = "plain") {
  const place = document.getElementById("notices");
  const note = h("p", { class: `notice ${kind}` }, words);
  place.append(note);
  while (place.children.length > 3) place.firstChild.remove();
  setTimeout(() => note.remove(), kind === "bad" ? 12000 : 5000);
}

/** A number that no other page gives to a fact; `crypto.randomUUID` is missing without TLS. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

const COLOURS = [
  "#3b6fd8", "#c2562d", "#2f8f5b", "#8a56c9", "#b78a14",
  "#1f8fa3", "#c2457e", "#6b7d2a", "#7a6a58", "#5560a8",
];

/** The colour of a speaker, see-through by `alpha` (two hexadecimal digits). */
export function colour(number, alpha = "") {
  return number === undefined || number === null ? `#8a919c${alpha}` : COLOURS[number % COLOURS.length] + alpha;
}

export function clock(seconds, digits = 1) {
  const unit = 10 ** digits;
  const whole = Math.round(Math.max(0, seconds) * unit);
  const part = digits ? "." + String(whole % unit).padStart(digits, "0") : "";
  const all = Math.floor(whole / unit);
  const pad = (number) => String(number).padStart(2, "0");
  return `${Math.floor(all / 3600)}:${pad(Math.floor(all / 60) % 60)}:${pad(all % 60)}${part}`;
}

const NAMES = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });

export function languageName(code) {
  try {
    return NAMES.of(code);
  } catch {
    return code;
  }
}

export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
