// What people have stated about a film: which facts count, and what can be undone.

/** The fields that live with the source language, since they hold for every dub of the film. */
const OF_SOURCE = new Set(["speaker", "name", "split", "merge", "add", "remove"]);
/** After these the lines are others, or many of them are. */
const RESHAPING = new Set(["split", "merge", "add", "remove", "speaker", "name", "voice", "rendering", "pronunciation"]);

export function belongsToSource(field) {
  return OF_SOURCE.has(field);
}

export function reshapes(fact) {
  return fact.target !== "line" || (RESHAPING.has(fact.field) && fact.field !== "voice");
}

export function place(fact) {
  return `${fact.target}\n${fact.target_id}\n${fact.field}`;
}

/** The facts that no later one takes back, without those that only take back. */
export function standing(facts) {
  const undone = new Set();
  for (const fact of [...facts].reverse()) {
    if (fact.undoes && !undone.has(fact.id)) undone.add(fact.undoes);
  }
  return facts.filter((fact) => !fact.undoes && !undone.has(fact.id));
}

/** What is said last of each target and field: a map from `place` to the fact. */
export function latest(facts) {
  const found = new Map();
  for (const fact of standing(facts)) {
    found.delete(place(fact));
    if (fact.value !== null && fact.value !== undefined) found.set(place(fact), fact);
  }
  return found;
}

/**
 * What one person can take back and state again, the next one last.
 *
 * `undo` holds the last fact of each chain (stated, taken back, stated again, …); to take one back
 * is to undo that last one, and so is to state it again.
 */
export function history(documents, by) {
  const all = [...documents.entries()].flatMap(([doc, { facts }]) =>
    facts.map((fact) => ({ doc, fact })));
  all.sort((one, other) => Date.parse(one.fact.at) - Date.parse(other.fact.at));
  const heads = new Map();
  const undo = [];
  const redo = [];
  for (const { doc, fact } of all.filter(({ fact }) => fact.by === by)) {
    const chain = fact.undoes ? heads.get(fact.undoes) : { doc, first: fact, done: false };
    if (!chain) continue;
    chain.head = fact;
    chain.done = !chain.done;
    heads.set(fact.id, chain);
    const [from, to] = chain.done ? [redo, undo] : [undo, redo];
    if (from.includes(chain)) from.splice(from.indexOf(chain), 1);
    to.push(chain);
    if (!fact.undoes) redo.length = 0;
  }
  return { undo, redo };
}
