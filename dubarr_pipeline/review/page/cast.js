// The cast of a film or a series: every character, some of their lines, and voices to try on one.

import { call, FilmAddress, ROOT } from "./api.js";
import { button, colour, counted, fill, h, languageName, say } from "./dom.js";
import { select } from "./dialogs.js";
import { mergeSpeakers, voiceChooser } from "./people.js";
import { Player } from "./player.js";
import { Series } from "./series.js";
import { FilmStore } from "./store.js";

export class CastPage {
  constructor(key) {
    this.store = new FilmStore(new FilmAddress(key), async () => "mine");
  }

  async open(root) {
    const { store } = this;
    await store.open(new URLSearchParams(location.search).get("lang"));
    document.title = `Cast of ${store.film.title}`;
    this.root = root;
    this.player = new Player(store.address, store.lang);
    this.cast = await call(`${store.address.film}/cast`);
    this.series = new Series(store);
    await this.series.load();
    store.addEventListener("film", () => this.draw());
    this.draw();
  }

  draw() {
    const { store } = this;
    const languages = store.film.languages.map((each) => [each.language, languageName(each.language)]);
    const chooser = select(languages, store.lang, (value) => { location.search = `?lang=${encodeURIComponent(value)}`; });
    chooser.setAttribute("aria-label", "Language of the dub");
    const people = store.film.speakers;
    fill(this.root, h("main", { class: "cast" },
      h("header", { class: "top" }, h("a", { href: `/review/${encodeURIComponent(store.film.key)}?lang=${store.lang}`, class: "home" }, "Back to the lines"),
        h("h1", {}, `Cast of ${store.film.title}`), chooser),
      people.length ? h("div", { class: "people" }, people.map((each) => this.card(each))) : h("p", { class: "state" }, "This film has no speakers yet."),
      this.series.element));
  }

  card(speaker) {
    const { store } = this;
    const told = this.cast.speakers.find((each) => each.id === speaker.id) ?? {};
    const lines = store.lines.filter((line) => line.speaker === speaker.id && line.kind === "speech");
    const samples = lines.slice().sort((one, other) => other.original.length - one.original.length).slice(0, 12);
    const dot = h("span", { class: "dot" });
    dot.style.background = colour(speaker.colour);
    const line = select(samples.map((each) => [each.id, each.original.slice(0, 90)]), samples[0]?.id);
    line.setAttribute("aria-label", `Line to try a voice of ${speaker.name || speaker.id} on`);
    const name = h("input", { type: "text", value: speaker.name ?? "", maxLength: 200, placeholder: speaker.id, "aria-label": `Name of ${speaker.id}`,
      onchange: (event) => store.change("speaker", speaker.id, "name", event.target.value.trim() || null) });
    const choose = voiceChooser(store, speaker, this.cast.voices, (value) => store.change("speaker", speaker.id, "voice", value));
    const voices = this.cast.voices[store.lang] ?? [];
    return h("article", { class: "card" },
      h("h2", {}, dot, name),
      h("p", { class: "soft" }, [counted(speaker.lines, "line"), told.spoken_s ? `${Math.round(told.spoken_s)} s of speech` : null, speaker.gender].filter(Boolean).join(" · ")),
      h("label", { class: "field" }, h("span", {}, `Voice in ${languageName(store.lang)}`), choose),
      samples.length ? [h("label", { class: "field" }, h("span", {}, "Try voices on"), line),
        h("div", { class: "chips" }, button("▶ original", () => this.original(line.value), { class: "chip" }),
          voices.map((voice) => button(`▶ ${voice}`, (event) => this.hear(event.target, line.value, voice), { class: "chip" })))] : null,
      h("div", { class: "actions" }, button("Merge with another …", () => mergeSpeakers(store, speaker))));
  }

  original(id) {
    this.player.what = "original";
    this.player.playLine(this.store.line(id));
  }

  async hear(control, id, voice) {
    control.disabled = true;
    try {
      const json = { lang: this.store.lang, text: this.store.line(id).dub || null, voice };
      const answer = await call(`${this.store.address.film}/lines/${encodeURIComponent(id)}/try`, { method: "POST", json });
      await this.player.playAddress(answer.sound.startsWith("/") ? answer.sound : `${ROOT}/${answer.sound}`, this.store.line(id).start);
    } catch (problem) {
      say(problem.message, "bad");
    } finally {
      control.disabled = false;
    }
  }
}
