// The lane: the whole film as a strip, and a window of it with waveforms and the placed lines.

import WaveSurfer from "./wavesurfer/wavesurfer.esm.js";
import Regions from "./wavesurfer/regions.esm.js";
import { button, clock, colour, h } from "./dom.js";

const HEADER = 24;
const FINE = 100;
const COARSE = 4;
const TRACKS = ["original", "dub", "bed"];
const WIDTHS_S = [8, 15, 30, 60, 120];

/** Events: `seek` (detail: seconds), `move` (detail: id and start), `pick` (detail: id). */
export class Lane extends EventTarget {
  constructor(store, player) {
    super();
    this.store = store;
    this.player = player;
    this.from = 0;
    this.width = 15;
    this.fine = new Map();
    this.coarse = new Map();
    this.place = h("div", { class: "waves" });
    this.strip = h("canvas", { class: "strip", "aria-hidden": "true", onclick: (event) => this.jump(event) });
    this.title = h("output", { class: "clock" }, clock(0));
    this.element = h("section", { class: "lane", "aria-label": "Waveforms of original, dub and bed" },
      h("div", { class: "lane-top" },
        h("span", { class: "labels" }, TRACKS.map((name) => h("span", { class: `label ${name}` }, name))),
        this.title,
        h("span", { class: "zoom" },
          button("−", () => this.zoom(1), { label: "Show more of the film" }),
          button("+", () => this.zoom(-1), { label: "Show less, larger" })),
      ),
      this.strip, this.place);
    player.addEventListener("time", () => this.follow());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.repaint());
  }

  /** Draw in the colours of the day or of the night. */
  repaint() {
    this.wave?.destroy();
    this.wave = this.build();
    return this.show(this.from);
  }

  /** Draw the window anew, for instance when lines or sounds are others. */
  async reload() {
    this.fine.clear();
    this.coarse.clear();
    this.wave ??= this.build();
    await this.show(this.from);
  }

  build() {
    const style = getComputedStyle(document.documentElement);
    const ink = (name) => style.getPropertyValue(`--${name}`).trim();
    const split = TRACKS.map((name) => ({ waveColor: ink(`wave-${name}`), progressColor: ink(`wave-${name}`), height: 46 }));
    this.regions = Regions.create();
    const wave = WaveSurfer.create({
      container: this.place, height: 46, splitChannels: split, cursorColor: ink("accent"), cursorWidth: 2,
      interact: true, normalize: false, fillParent: true, hideScrollbar: true, plugins: [this.regions],
    });
    wave.on("interaction", (seconds) => this.tell("seek", this.from + seconds));
    this.regions.on("region-clicked", (region, event) => {
      event.stopPropagation();
      this.tell("pick", region.id.slice(2));
    });
    this.regions.on("region-updated", (region) => this.tell("move", { id: region.id.slice(2), start: this.from + region.start }));
    return wave;
  }

  get duration() {
    return this.store.film.duration_s;
  }

  zoom(way) {
    const at = WIDTHS_S.indexOf(this.width) + way;
    if (at < 0 || at >= WIDTHS_S.length) return;
    const middle = this.player.time;
    this.width = WIDTHS_S[at];
    this.show(middle - this.width / 3);
  }

  /** Show the window that begins here. */
  async show(from) {
    const width = Math.min(this.width, this.duration);
    this.from = Math.max(0, Math.min(from, this.duration - width));
    const asked = (this.asked = {});
    const peaks = await Promise.all(TRACKS.map((what) => this.read(what, this.from, width)));
    if (asked !== this.asked) return;
    this.regions.clearRegions();
    await this.wave.load("", peaks, width).catch(() => {});
    if (asked !== this.asked) return;
    this.mark(width);
    this.follow();
    this.drawStrip();
  }

  /** The loudest of each hundredth of a second, by a range over the server's file. */
  async read(what, from, width) {
    const first = Math.floor(from * FINE);
    const count = Math.max(2, Math.ceil(width * FINE));
    const key = `${what} ${first} ${count}`;
    if (!this.fine.has(key)) {
      const range = `bytes=${HEADER + 2 * first}-${HEADER + 2 * (first + count) - 1}`;
      this.fine.set(key, this.fetch(what, FINE, range).then((found) => loudest(found, count)));
      if (this.fine.size > 60) this.fine.delete(this.fine.keys().next().value);
    }
    return this.fine.get(key);
  }

  async fetch(what, rate, range) {
    const address = this.player.address.peaks(what, this.store.lang, rate);
    try {
      const answer = await fetch(address, { headers: range ? { Range: range } : {}, credentials: "same-origin" });
      if (!answer.ok) return new Int8Array(0);
      const bytes = await answer.arrayBuffer();
      if (!range) return new Int8Array(bytes, HEADER);
      return answer.status === 206 ? new Int8Array(bytes) : cutOut(bytes, range);
    } catch {
      return new Int8Array(0);
    }
  }

  mark(width) {
    const to = this.from + width;
    for (const line of this.store.lines) {
      if (line.start > to + 10) break;
      this.region(line, [line.start, line.end], 0, to, false);
      if (line.placed) this.region(line, line.placed, 1, to, !line.badges.includes("locked"));
    }
  }

  region(line, [start, end], channelIdx, to, drag) {
    if (end <= this.from || start >= to) return;
    const active = line.id === this.active;
    const region = this.regions.addRegion({
      id: `${channelIdx ? "d" : "o"}-${line.id}`, start: start - this.from, end: end - this.from, channelIdx,
      drag, resize: false, color: colour(this.store.speaker(line.speaker)?.colour, active ? "70" : "38"),
    });
    if (region.element) region.element.title = `Line ${line.index}: ${channelIdx ? line.dub : line.original}`;
  }

  /** Mark the active line, and show it unless it is in the window. */
  choose(line) {
    this.active = line.id;
    const inside = line.start >= this.from && line.end <= this.from + this.width;
    this.show(inside ? this.from : line.start - this.width / 4);
  }

  follow() {
    const time = this.player.time;
    this.title.textContent = `${clock(time)} of ${clock(this.duration, 0)}`;
    if (!this.wave) return;
    const inside = time >= this.from && time <= this.from + this.width;
    if (inside) this.wave.setTime(time - this.from);
    else if (this.player.playing) this.show(time - this.width / 20);
    if (Math.abs(time - (this.stripTime ?? -9)) > this.duration / 800) this.drawStrip();
  }

  jump(event) {
    const part = event.offsetX / this.strip.clientWidth;
    const time = part * this.duration;
    this.tell("seek", time);
    this.show(time - this.width / 3);
  }

  async drawStrip() {
    if (!this.coarse.has("original")) this.coarse.set("original", this.fetch("original", COARSE));
    const peaks = await this.coarse.get("original");
    const canvas = this.strip;
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
    if (!width) return;
    [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext("2d");
    const ink = getComputedStyle(canvas);
    const at = (seconds) => (seconds / this.duration) * width;
    pen.fillStyle = ink.color;
    for (let x = 0; x < width; x++) {
      const high = highest(peaks, (x / width) * this.duration * COARSE, ((x + 1) / width) * this.duration * COARSE);
      pen.fillRect(x, (height * (1 - high)) / 2, 1, Math.max(1, height * high));
    }
    pen.fillStyle = ink.getPropertyValue("--bad");
    for (const line of this.store.lines) if (line.problem) pen.fillRect(at(line.start), height - 4 * scale, Math.max(2, at(line.end - line.start)), 4 * scale);
    this.stripTime = this.player.time;
    pen.strokeStyle = pen.fillStyle = ink.getPropertyValue("--accent");
    pen.strokeRect(at(this.from), 0.5, Math.max(3, at(this.width)), height - 1);
    pen.fillRect(at(this.stripTime), 0, 2 * scale, height);
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function cutOut(bytes, range) {
  const [first, last] = range.slice(6).split("-").map(Number);
  return new Int8Array(bytes.slice(first, last + 1));
}

/** Pairs of lowest and highest, -128 to 127, as one loudness each, 0 to 1. */
function loudest(pairs, count) {
  const found = new Float32Array(count);
  for (let at = 0; at < count && 2 * at + 1 < pairs.length; at++) {
    found[at] = Math.max(Math.abs(pairs[2 * at]), Math.abs(pairs[2 * at + 1])) / 128;
  }
  return found;
}

function highest(pairs, from, to) {
  let high = 0;
  for (let at = Math.floor(from); at < Math.max(from + 1, to) && 2 * at + 1 < pairs.length; at++) {
    high = Math.max(high, Math.abs(pairs[2 * at]), Math.abs(pairs[2 * at + 1]));
  }
  return Math.min(1, high / 128);
}
