// Set-up: servers, folders, languages and voices; what would change is shown before it is done.

import { call } from "./api.js";
import { button, fill, h, languageName, say } from "./dom.js";
import { field, select } from "./dialogs.js";

const KINDS = { radarr: "Radarr", sonarr: "Sonarr", bazarr: "Bazarr", jellyfin: "Jellyfin", plex: "Plex" };
const PLACES = [["beside", "beside the film, as “Film - dubbed.mkv”"], ["sidecar", "as sound files beside the film"], ["none", "in the work folder"]];

const post = (path, json = {}) => call(`/setup${path}`, { method: "POST", json });
const listed = (text) => text.split(",").map((each) => each.trim()).filter(Boolean);

export class SetupPage {
  async open(root) {
    document.title = "Set-up · dubarr";
    const { wish, voices } = await call("/setup");
    this.reports = {};
    this.servers = Object.keys(KINDS).map((kind) => this.server(kind, wish.servers.find((each) => each.kind === kind)));
    this.folders = h("input", { value: wish.folders.join(", "), placeholder: "/media/films, /media/series", name: "folders" });
    this.targets = h("input", { value: wish.targets.join(", "), placeholder: "es, fr", name: "targets" });
    this.publish = select(PLACES, wish.publish);
    this.address = h("input", { value: "", placeholder: "found out", name: "address" });
    this.voices = voices.map((each) => h("label", { class: "choice" },
      h("input", { type: "radio", name: "voices", value: each.profile, checked: each.profile === wish.profile }), h("b", {}, each.profile), ` ${each.words}`));
    this.unknown = h("div", {});
    this.outcome = h("section", { class: "card outcome-card", "aria-live": "polite", hidden: true });
    const card = (title, ...parts) => h("section", { class: "card" }, h("h2", {}, title), ...parts);
    fill(root, h("main", { class: "list setup" }, h("h1", {}, "Set-up"),
      card("1. Your servers", h("div", { class: "servers" }, this.servers.map((each) => each.row)),
        h("div", { class: "actions" }, button("Look for them", () => this.find()))),
      card("2. Films and languages", field("Folders of films, as dubarr sees them", this.folders), field("Dub into", this.targets, "Language codes, with commas between."),
        field("Dubbed films go", this.publish)),
      card("3. Voices", ...this.voices),
      card("4. Change it", field("Address by which Radarr and Sonarr reach dubarr's receiver", this.address, "Like http://dubarr:8765; empty: found out."), this.unknown,
        h("div", { class: "actions" }, button("Show what would change", (event) => this.busy(event.target, () => this.plan()), { class: "main" }))),
      this.outcome));
  }

  server(kind, known) {
    const url = h("input", { value: known?.url ?? "", placeholder: "http://…", "aria-label": `Address of ${KINDS[kind]}`, name: `${kind}-url` });
    const key = h("input", { type: "password", autocomplete: "off", placeholder: known ? "key as before" : "key", "aria-label": `Key of ${KINDS[kind]}`, name: `${kind}-key` });
    const told = h("small", { role: "status", "data-kind": kind });
    const test = button("Test", (event) => this.busy(event.target, () => this.test(kind)), { label: `Test ${KINDS[kind]}` });
    return { kind, url, key, told, row: h("div", { class: "server" }, h("b", {}, KINDS[kind]), url, key, test, told) };
  }

  async busy(control, act) {
    control.disabled = true;
    try {
      await act();
    } catch (problem) {
      say(problem.message, "bad");
    } finally {
      control.disabled = false;
      control.focus({ preventScroll: true });
    }
  }

  async find() {
    const { servers } = await post("/find");
    for (const each of servers) {
      const row = this.servers.find((one) => one.kind === each.kind);
      if (!row.url.value) row.url.value = each.url;
    }
    say(servers.length ? `Found ${servers.map((each) => KINDS[each.kind]).join(", ")}: their keys are missing.` : "None answers at its usual address.");
  }

  async test(kind) {
    const row = this.servers.find((each) => each.kind === kind);
    const report = await post("/server", { kind, url: row.url.value.trim(), key: row.key.value });
    row.told.className = report.fault ? "bad" : "good";
    const folders = report.folders.map((each) => each.path);
    row.told.textContent = report.fault || `${KINDS[kind]} ${report.version}${folders.length ? `, with ${folders.join(", ")}` : ""}`;
    if (report.better_url) row.url.value = report.better_url;
  }

  wish() {
    const mappings = Object.fromEntries([...this.unknown.querySelectorAll("input")].map((each) => [each.name, each.value.trim()]).filter(([, ours]) => ours));
    return {
      folders: listed(this.folders.value), targets: listed(this.targets.value), publish: this.publish.value,
      profile: document.querySelector("input[name=voices]:checked")?.value ?? "", address: this.address.value.trim(), mappings,
      servers: this.servers.filter((each) => each.url.value.trim()).map((each) => ({ kind: each.kind, url: each.url.value.trim(), key: each.key.value })),
    };
  }

  async plan() {
    const wish = this.wish();
    const { changes, faults, unknown, notes } = await post("/plan", wish);
    fill(this.unknown, unknown.map((path) => field(`Our folder for ${path}`, h("input", { name: path, value: wish.mappings[path] ?? "" }))));
    const doIt = button("Do all this", (event) => this.busy(event.target, () => this.apply(wish)), { class: "main" });
    this.show(h("h2", {}, changes.length ? "This would change" : "Nothing to change"), list(faults, "bad"), list(notes), list(changes.map((each) => each.words)),
      changes.length ? h("div", { class: "actions" }, doIt) : h("div", { class: "actions" }, button("Find a film to try", () => this.film())));
  }

  show(...parts) {
    this.outcome.hidden = false;
    fill(this.outcome, ...parts);
    this.outcome.scrollIntoView({ block: "nearest" });
  }

  async apply(wish) {
    await post("", wish);
    for (let running = true; running; ) {
      const progress = await call("/setup/progress");
      running = progress.running;
      const steps = progress.done.map((each) => h("li", { class: each.fault ? "bad" : "good" }, each.fault ? `${each.words}: ${each.fault}` : `Done: ${each.words}`));
      this.show(h("h2", {}, running ? "Changing …" : "Set up"), h("ul", {}, steps));
      if (running) await new Promise((resolve) => setTimeout(resolve, 400));
    }
    for (const each of this.servers) each.key.value = "";
    await this.film();
  }

  async film() {
    const place = h("div", { class: "first" }, "Looking for a film to try …");
    this.outcome.append(place);
    const { film } = await call("/setup/film");
    if (!film) fill(place, "No film waits to be dubbed: “dubarr library scan” lists all, with the reasons.");
    else fill(place, h("p", {}, `First film: ${film.path}, into ${film.targets.map(languageName).join(", ")}: ${film.words}. ${film.waits}`),
      h("div", { class: "actions" }, button("Dub it now", (event) => this.busy(event.target, () => this.start(place)), { class: "main" })));
  }

  async start(place) {
    const { waits } = await post("/film");
    fill(place, h("p", { class: "good" }, waits || "It is queued. "), h("a", { href: "/review/" }, "All films"));
  }
}

function list(words, kind = "") {
  return words.length ? h("ul", { class: kind }, words.map((each) => h("li", {}, each))) : null;
}
