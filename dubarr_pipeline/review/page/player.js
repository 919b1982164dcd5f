// The playhead: cuts of lines by Web Audio, the film by one audio element, the picture always muted.

import { Cuts } from "./cuts.js";
import { say } from "./dom.js";

export const SOUNDS = ["original", "dub", "voice", "bed"];
const DRIFT_S = 0.02;

/**
 * Plays lines and the film and knows the time.
 *
 * Events: `time` (the playhead moved), `state` (it started, stopped, or hears something else).
 */
export class Player extends EventTarget {
  constructor(address, lang) {
    super();
    this.address = address;
    this.lang = lang;
    this.what = "dub";
    this.cuts = new Cuts();
    this.mode = null;
    this.at = 0;
    this.audio = new Audio();
    this.audio.preload = "none";
    this.audio.addEventListener("playing", () => this.align());
    this.audio.addEventListener("ended", () => this.stop());
    this.audio.addEventListener("error", () => this.failed());
    this.video = null;
    this.offset = 0;
  }

  get playing() {
    return this.mode !== null;
  }

  get time() {
    if (this.mode === "cut") return this.cuts.time() ?? this.at;
    if (this.mode === "film" && !this.audio.paused && this.audio.readyState > 2) {
      return this.audio.currentTime;
    }
    return this.at;
  }

  /** Show the picture in this element, whose clock is `offset` seconds ahead, or none. */
  watch(video, offset = 0) {
    this.video = video;
    this.offset = offset;
    if (!video) return;
    video.muted = true;
    this.showPicture(this.time);
  }

  showPicture(seconds) {
    if (this.video) this.video.currentTime = Math.max(0, seconds + this.offset);
  }

  seek(seconds) {
    const film = this.mode === "film";
    if (!film) this.stop();
    this.at = Math.max(0, seconds);
    if (film) this.audio.currentTime = this.at;
    this.showPicture(this.at);
    this.tell("time");
  }

  toggle() {
    return this.playing ? this.stop() : this.playFilm();
  }

  async playFilm() {
    this.stop();
    this.mode = "film";
    const source = this.address.sound(this.what, this.lang);
    if (!this.audio.src.endsWith(source)) this.audio.src = source;
    this.audio.currentTime = this.at;
    this.aligned = false;
    this.begin();
    try {
      await this.audio.play();
    } catch (problem) {
      if (problem.name !== "AbortError" && this.mode === "film") this.failed();
    }
  }

  /** Play a part of the film by one cut of a line, in what is chosen now. */
  async playLine(line, { pad = 0, from, to } = {}) {
    const [origin, end] = line.cut(pad);
    const addressOf = (what) => this.address.cut(line.id, this.lang, what, pad);
    await this.playCut(this.what, { addressOf, origin, from: from ?? origin, to: to ?? end });
  }

  /** Play the whole of one sound by its address; `origin` is where it begins if it does not say. */
  async playAddress(address, origin) {
    await this.playCut(null, { addressOf: () => address, origin, to: Infinity });
  }

  async playCut(what, cut) {
    this.stop();
    this.at = cut.from ?? cut.origin;
    this.mode = "cut";
    this.begin();
    try {
      await this.cuts.play(what, { ...cut, ended: () => this.stop() });
    } catch (problem) {
      this.stop();
      say(problem.message, "bad");
    }
  }

  /** Hear the original, the dub, the voice alone or the bed; the playhead stays. */
  async choose(what) {
    this.what = what;
    this.tell("state");
    try {
      if (this.mode === "cut") await this.cuts.switchTo(what);
      else if (this.mode === "film") await this.changeFilm();
    } catch (problem) {
      say(problem.message, "bad");
    }
  }

  async changeFilm() {
    this.at = this.time;
    this.audio.src = this.address.sound(this.what, this.lang);
    this.audio.currentTime = this.at;
    this.aligned = false;
    await this.audio.play().catch(() => {});
  }

  stop() {
    if (!this.playing) return;
    this.at = this.time;
    this.mode = null;
    this.cuts.stop();
    this.audio.pause();
    this.video?.pause();
    this.tell("time");
    this.tell("state");
  }

  begin() {
    this.showPicture(this.at);
    this.video?.play().catch(() => {});
    this.tell("state");
    const tick = () => {
      if (!this.playing) return;
      this.tell("time");
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  /** Picture and sound start a few frames apart and then keep step: one correction is enough. */
  align() {
    if (this.aligned || this.mode !== "film" || !this.video) return;
    this.aligned = true;
    const apart = this.video.currentTime - this.offset - this.audio.currentTime;
    if (Math.abs(apart) > DRIFT_S) this.showPicture(this.audio.currentTime);
  }

  failed() {
    if (this.mode !== "film") return;
    this.stop();
    say(`The sound of the film (${this.what}) cannot be played here.`, "bad");
  }

  tell(name) {
    this.dispatchEvent(new Event(name));
  }
}
