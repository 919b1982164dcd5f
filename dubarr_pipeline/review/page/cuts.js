// Plays short cuts of one line on one clock, so that original and dub can be compared in mid-word.

import { Refusal } from "./api.js";

const KEPT = 24;
const FADE_S = 0.012;

/** The cuts of one line: each is fetched once, when it is first heard; a switch moves only gains. */
export class Cuts {
  constructor() {
    this.context = null;
    this.buffers = new Map();
    this.playing = null;
  }

  /** Forget what was fetched: the dub has been rendered anew. */
  clear() {
    this.buffers.clear();
  }

  /**
   * Play from `from` to `to`, both in seconds of the film.
   *
   * Without `from` it begins where the sound does. `addressOf` gives the address of a sound by its
   * name; every sound of the line begins where the server says, else at `origin`. `ended` is called when it is over, not when it is stopped.
   */
  async play(what, { addressOf, origin, from, to, ended }) {
    this.stop();
    this.context ??= new AudioContext();
    const cut = { addressOf, origin, from, to, ended, voices: new Map(), what };
    this.playing = cut;
    let found;
    do {
      // Another sound may be chosen before the first one is here.
      what = cut.what;
      found = await this.fetch(addressOf(what));
      if (this.playing !== cut) return;
      await this.context.resume();
      if (this.playing !== cut) return;
    } while (cut.what !== what);
    const { buffer, start } = found;
    cut.origin = start ?? origin;
    cut.from ??= cut.origin;
    cut.to = Math.min(to, cut.origin + buffer.duration);
    cut.startedAt = this.context.currentTime + 0.02;
    this.start(cut, what, buffer);
    cut.timer = setTimeout(() => this.finish(cut), (cut.to - cut.from + 0.04) * 1000);
  }

  /** Hear another sound of the same line from where the playhead is. */
  async switchTo(what) {
    const cut = this.playing;
    if (!cut || cut.what === what) return;
    cut.what = what;
    if (cut.startedAt === undefined) return;
    const found = cut.voices.has(what) ? null : await this.fetch(cut.addressOf(what));
    if (this.playing !== cut || cut.what !== what) return;
    if (found) this.start(cut, what, found.buffer);
    for (const [name, { gain }] of cut.voices) {
      gain.gain.setTargetAtTime(name === what ? 1 : 0, this.context.currentTime, FADE_S / 3);
    }
  }

  /** Where it is, in seconds of the film, or null. */
  time() {
    const cut = this.playing;
    if (!cut || cut.startedAt === undefined) return null;
    const passed = Math.max(0, this.context.currentTime - cut.startedAt);
    return Math.min(cut.from + passed, cut.to);
  }

  stop() {
    const cut = this.playing;
    this.playing = null;
    if (!cut) return;
    clearTimeout(cut.timer);
    for (const { source } of cut.voices.values()) source.stop();
  }

  finish(cut) {
    if (this.playing !== cut) return;
    this.stop();
    cut.ended();
  }

  start(cut, what, buffer) {
    const now = Math.max(this.context.currentTime, cut.startedAt);
    const at = cut.from - cut.origin + (now - cut.startedAt);
    const source = new AudioBufferSourceNode(this.context, { buffer });
    const gain = new GainNode(this.context, { gain: cut.voices.size ? 0 : 1 });
    source.connect(gain).connect(this.context.destination);
    if (at < buffer.duration) source.start(now, Math.max(0, at), Math.max(0, cut.to - cut.origin - at));
    else source.start(now, 0, 0);
    cut.voices.set(what, { source, gain });
  }

  async fetch(address) {
    const known = this.buffers.get(address);
    if (known) return known;
    let answer;
    try {
      answer = await fetch(address, { credentials: "same-origin" });
    } catch {
      throw new Refusal(0, null, "The server does not answer.");
    }
    if (!answer.ok) throw new Refusal(answer.status, null, await wordsOf(answer));
    const buffer = await this.context.decodeAudioData(await answer.arrayBuffer());
    const start = answer.headers.get("X-Start-S");
    const found = { buffer, start: start === null ? null : Number(start) };
    this.buffers.set(address, found);
    if (this.buffers.size > KEPT) this.buffers.delete(this.buffers.keys().next().value);
    return found;
  }
}

async function wordsOf(answer) {
  const text = await answer.text();
  try {
    const told = JSON.parse(text);
    return told.error ?? told.message ?? text;
  } catch {
    return `There is no such sound (${answer.status}).`;
  }
}
