// The list of all films.

import { call } from "./api.js";
import { fill, h, languageName } from "./dom.js";

export async function openFilms(root) {
  document.title = "Review · dubarr";
  const { films } = await call("/films");
  const rows = films.map((film) => h("tr", {},
    h("td", {}, h("a", { href: `/review/${encodeURIComponent(film.key)}` }, film.title)),
    h("td", {}, film.languages.map(languageName).join(", ")),
    h("td", {}, film.state.replaceAll("_", " ")),
    h("td", {}, film.held ? h("span", { class: "badge over" }, "held") : null),
    h("td", {}, h("a", { href: `/review/${encodeURIComponent(film.key)}/cast` }, "Cast"))));
  const head = h("tr", {}, ["Film", "Languages", "State", "Gate", ""].map((words) => h("th", {}, words)));
  fill(root, h("main", { class: "list" }, h("h1", {}, "Review ", h("small", {}, h("a", { href: "/setup" }, "Set-up"))),
    films.length ? h("table", {}, h("thead", {}, head), h("tbody", {}, rows)) : h("p", { class: "state" }, "No film is dubbed yet. Films are listed here as soon as a run has begun with them.")));
}
