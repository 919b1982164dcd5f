// Opens the page that the address names, and asks for the token when the server does.

import { onLocked, openSession } from "./api.js";
import { button, fill, h, say } from "./dom.js";
import { ask, field } from "./dialogs.js";
import { CastPage } from "./cast.js";
import { FilmPage } from "./film.js";
import { openFilms } from "./films.js";
import { SetupPage } from "./setup.js";

const root = document.getElementById("app");
let asking = null;

/** One question at a time, however many requests wait for its answer. */
onLocked(() => (asking ??= askForToken().finally(() => (asking = null))));

async function askForToken() {
  for (let words = "It is in the link that dubarr prints, and in the file .webhook-token of the work folder."; ; words = "That is not the token.") {
    const token = h("input", { type: "password", autocomplete: "off" });
    const told = await ask("This server wants its token", field("Token", token, words), [["Open", () => token.value.trim()]]);
    if (told === null) return false;
    if (await openSession(told).catch(() => false)) return true;
  }
}

async function tokenOfLink() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname + location.search);
  if (!(await openSession(token).catch(() => false))) say("The token of this link is not valid any more.", "bad");
}

async function open() {
  fill(root, h("p", { class: "state" }, "Opening the review …"));
  const [key, part] = location.pathname.replace(/^\/review\/?/, "").split("/").map(decodeURIComponent);
  try {
    if (location.pathname === "/setup") window.setup = await new SetupPage().open(root);
    else if (!key) await openFilms(root);
    else if (part === "cast") await new CastPage(key).open(root);
    else window.review = await new FilmPage(key).open(root);
  } catch (problem) {
    if (problem.status === undefined) console.error(problem);
    fill(root, h("div", { class: "state", role: "alert" }, h("p", {}, problem.message), button("Try again", open, { class: "main" })));
  }
}

await tokenOfLink();
await open();
