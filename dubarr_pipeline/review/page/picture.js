// The picture beside the lane: always muted, the source itself where the browser shows it.

import { fill, h } from "./dom.js";

const ASK_AGAIN_MS = 3000;
const PIECE_S = 60;

export class Picture {
  constructor(store, player) {
    this.store = store;
    this.player = player;
    this.video = h("video", { muted: true, preload: "metadata", playsInline: true, "aria-label": "The picture of the film, without sound", onclick: () => player.toggle() });
    this.words = h("p", { class: "state" });
    this.element = h("figure", { class: "picture" }, this.words);
    this.video.addEventListener("loadedmetadata", () => this.ready());
    this.video.addEventListener("error", () => this.unplayable());
    this.proxy = false;
    this.piece = null;
    player.addEventListener("time", () => this.leave());
  }

  /** The playhead on the clock of the picture. */
  get at() {
    return Math.max(0, this.player.time + (this.store.film.picture.offset_s ?? 0));
  }

  get address() {
    // A copy in the making begins where the film is looked at.
    return this.store.address.media(`picture${this.proxy ? `?proxy=1&at=${Math.floor(this.at / PIECE_S) * PIECE_S}` : ""}`);
  }

  /** Ask for the picture; while the server makes one, say how far it is and ask again. */
  async open() {
    if (this.store.film.picture.kind === "none") return this.tell("This film has no picture to show yet.");
    this.proxy ||= this.store.film.picture.kind === "proxy";
    const { address } = this;
    let answer;
    try {
      answer = await fetch(address, { headers: { Range: "bytes=0-0" }, credentials: "same-origin" });
    } catch {
      return this.later("The server does not answer.");
    }
    if (answer.status === 202) {
      const { progress } = await answer.json();
      return this.later(`Making a picture for the browser: ${Math.round(100 * (progress ?? 0))} %`);
    }
    if (!answer.ok) return this.tell("There is no picture of this film.");
    const start = answer.headers.get("X-Start-S");
    await answer.body?.cancel();
    this.piece = start === null ? null : Number(start);
    this.video.src = address;
    return fill(this.element, this.video);
  }

  /** The playhead has left the piece that is shown: another one, or the whole by now. */
  leave() {
    if (this.piece === null || (this.at >= this.piece && this.at < this.piece + PIECE_S)) return;
    this.piece = null;
    this.open().then(() => this.player.playing && this.video.play().catch(() => {}));
  }

  later(words) {
    this.tell(words);
    setTimeout(() => this.element.isConnected && this.open(), ASK_AGAIN_MS);
  }

  tell(words) {
    this.words.textContent = words;
    fill(this.element, this.words);
    this.player.watch(null);
  }

  ready() {
    if (!this.video.videoWidth) return this.unplayable();
    this.player.watch(this.video, (this.store.film.picture.offset_s ?? 0) - (this.piece ?? 0));
  }

  /** The codec is none of the browser's: a small copy is. */
  unplayable() {
    if (this.piece !== null) {
      // The pieces have become one file.
      this.piece = null;
      return this.later("Looking for the picture again");
    }
    if (this.proxy) return this.tell("This browser cannot show the picture.");
    this.proxy = true;
    return this.open();
  }
}
