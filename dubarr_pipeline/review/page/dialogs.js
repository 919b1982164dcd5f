// Dialogs: they hold the focus, Esc closes them, and the first field is ready to be typed in.

import { button, h, refill } from "./dom.js";

/**
 * Ask something; the answer is what the pressed button stands for, or null.
 *
 * `actions` are pairs of words and a value or a function that gives it; the last one is the main one.
 */
export function ask(title, content, actions) {
  const before = document.activeElement;
  return new Promise((resolve) => {
    const done = (value) => {
      dialog.close();
      dialog.remove();
      before?.focus?.({ preventScroll: true });
      resolve(value);
    };
    const answers = actions.map(([words, value], at) =>
      button(words, () => {
        const found = typeof value === "function" ? value() : value;
        if (found !== undefined) done(found);
      }, { class: at === actions.length - 1 ? "main" : "" }));
    const dialog = h("dialog", {
      "aria-label": title,
      oncancel: (event) => { event.preventDefault(); done(null); },
      onkeydown: (event) => {
        if (event.key === "Enter" && event.target.matches("input, select")) { event.preventDefault(); answers.at(-1).click(); }
      },
    }, h("h2", {}, title), h("div", { class: "content" }, content), h("div", { class: "actions" }, answers));
    document.body.append(dialog);
    dialog.showModal();
    (dialog.querySelector("[autofocus], textarea, input, select") ?? answers.at(-1)).focus();
  });
}

/** A field with its words above it. */
export function field(words, control, note) {
  return h("label", { class: "field" }, h("span", {}, words), control, note ? h("small", {}, note) : null);
}

export function select(options, chosen, onchange) {
  const made = options.map(([value, words]) => h("option", { value, selected: value === chosen }, words));
  return h("select", { onchange: onchange && ((event) => onchange(event.target.value)) }, made);
}

/** A panel that stays open while a person works in it; `draw` fills it, and again when told. */
export function panel(title, draw) {
  const before = document.activeElement;
  const content = h("div", { class: "content" });
  const close = () => {
    dialog.close();
    dialog.remove();
    before?.focus?.({ preventScroll: true });
  };
  const dialog = h("dialog", { class: "wide", "aria-label": title, oncancel: (event) => { event.preventDefault(); close(); } },
    h("h2", {}, title), content, h("div", { class: "actions" }, button("Close", close, { class: "main" })));
  const redraw = () => refill(content, draw(redraw, close));
  document.body.append(dialog);
  redraw();
  dialog.showModal();
  return redraw;
}
