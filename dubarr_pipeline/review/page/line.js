// One line of the film as the server tells it, and what the page reads from it.

/** Words for the outcomes that the pipeline knows; `failed:NAME` has its name behind it. */
const OUTCOMES = { placed: "placed", kept_original: "original kept", spoken: "spoken" };

/** These change what the page says of a line, not what is heard. */
const UNSCRIPTED = "unscripted";
const QUIET = new Set(["comment", "locked"]);

export class Line {
  constructor(told) {
    this.take(told);
  }

  /** Read what the server says of it now. */
  take(told) {
    Object.assign(this, told);
  }

  /** Show a change before the server has stored it. */
  guess(field, value) {
    this.edits = { ...this.edits, [field]: value };
    const badges = ["edited", ...(QUIET.has(field) ? [] : ["stale"]), ...(field === "locked" && value ? ["locked"] : [])];
    this.badges = [...new Set([...this.badges, ...badges])];
  }

  get failed() {
    return this.outcome.startsWith("failed");
  }

  /** The dubbed words: what a person wants, else what was last made. */
  get dub() {
    return this.edits.text ?? this.text;
  }

  get problem() {
    return this.failed || this.doubts.length > 0 || this.badges.includes("orphaned");
  }

  /** Flags that a person should look at; that a line is in no subtitle is only said. */
  get doubts() {
    return this.flags.filter((flag) => flag !== UNSCRIPTED);
  }

  get unscripted() {
    return this.flags.includes(UNSCRIPTED);
  }

  /** Why it is as it is, and what is doubted of it. */
  get reasons() {
    return [this.why, ...this.flags].filter(Boolean).map((each) => each.replaceAll("_", " ")).join(" · ");
  }

  get outcomeWords() {
    if (this.failed) return `failed: ${this.outcome.slice(7).replaceAll("_", " ")}`.replace(/: $/, "");
    return OUTCOMES[this.outcome] ?? (this.outcome || "not dubbed yet");
  }

  get chosen() {
    const wanted = this.takes.find((take) => take.id === this.edits.take);
    return wanted ?? this.takes.find((take) => take.chosen);
  }

  /** Where its dub is heard, in seconds of the film: from, to. */
  get placed() {
    const start = this.edits.start_s ?? this.fit?.start;
    if (start === undefined || start === null || !this.fit?.length) return null;
    return [start, start + this.fit.length];
  }

  /** What a cut of it spans, original and dub as they were made: from, to in seconds of the film. */
  cut(pad) {
    const { start, length } = this.fit ?? {};
    const made = typeof start === "number" && typeof length === "number" ? [start, start + length] : [this.start, this.end];
    return [Math.max(0, Math.min(this.start, made[0]) - pad), Math.max(this.end, made[1]) + pad];
  }

  /** How its dub fits the time: `good`, `tight`, `over`, or nothing if it is not known. */
  get fits() {
    const { budget_s: budget, measured_s: measured, predicted_s: predicted } = this.fit ?? {};
    const length = measured ?? predicted;
    if (!budget || !length) return "";
    if (length <= budget * 1.05) return "good";
    return length <= budget * 1.15 ? "tight" : "over";
  }
}
