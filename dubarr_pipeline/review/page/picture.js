// The picture beside the lane: always muted, the source itself where the browser shows it.

import { fill, h } from "./dom.js";

const ASK_AGAIN_MS = 3000;

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
  }

  get address() {
    return this.store.address.media(`picture${this.proxy ? "?proxy=1" : ""}`);
  }

  /** Ask for the picture; while the server makes one, say how far it is and ask again. */
  async open() {
    if (this.store.film.picture.kind === "none") return this.tell("This film has no picture to show yet.");
    let answer;
    try {
      answer = await fetch(this.address, { headers: { Range: "bytes=0-0" }, credentials: "same-origin" });
    } catch {
      return this.later("The server does not answer.");
    }
    if (answer.status === 202) {
      const { progress } = await answer.json();
      return this.later(`Making a picture for the browser: ${Math.round(100 * (progress ?? 0))} %`);
    }
    if (!answer.ok) return this.tell("There is no picture of this film.");
    await answer.body?.cancel();
    this.video.src = this.address;
    return fill(this.element, this.video);
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
    this.player.watch(this.video, this.store.film.picture.offset_s ?? 0);
  }

  /** The codec is none of the browser's: a small copy is. */
  unplayable() {
    if (this.proxy) return this.tell("This browser cannot show the picture.");
    this.proxy = true;
    this.open();
  }
}
