// Talks with the server: JSON out and in, one error type, the token once.

export const ROOT = "/api/v1";

/** An answer that is not what was asked for; status 0 if none came. */
export class Refusal extends Error {
  constructor(status, body, words) {
    super(words);
    this.status = status;
    this.body = body ?? {};
  }
}

let askForToken = async () => false;

/** Let this function get a session when the server wants one; it says whether it did. */
export function onLocked(ask) {
  askForToken = ask;
}

export async function call(path, { method = "GET", json, body, type } = {}) {
  const headers = {};
  if (json !== undefined) headers["Content-Type"] = "application/json";
  if (type) headers["Content-Type"] = type;
  const sent = json !== undefined ? JSON.stringify(json) : body;
  let answer;
  try {
    answer = await fetch(ROOT + path, { method, headers, body: sent, credentials: "same-origin" });
  } catch {
    throw new Refusal(0, null, "The server does not answer.");
  }
  if (answer.status === 401 && (await askForToken())) return call(path, { method, json, body, type });
  const told = await readJson(answer);
  if (!answer.ok) throw new Refusal(answer.status, told, wordsOf(answer.status, told));
  return told;
}

async function readJson(answer) {
  const text = await answer.text();
  try {
    return text ? JSON.parse(text) : {};
  } catch {
    return { error: text.slice(0, 300) };
  }
}

function wordsOf(status, told) {
  const errors = (told?.errors ?? []).map((each) => each.message ?? String(each));
  return told?.error ?? told?.message ?? told?.detail ?? (errors.join(" ") || `The server answered ${status}.`);
}

/** Exchange the token for a session. */
export async function openSession(token) {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const answer = await fetch(`${ROOT}/session`, {
    method: "POST", headers, body: JSON.stringify({ token }), credentials: "same-origin",
  });
  return answer.ok;
}

/** All addresses of one film. */
export class FilmAddress {
  constructor(key) {
    this.key = key;
    this.film = `/films/${encodeURIComponent(key)}`;
  }

  lines(lang, from, count) {
    return `${this.film}/lines?lang=${encodeURIComponent(lang)}&from=${from}&count=${count}`;
  }

  edits(lang) {
    return `${this.film}/edits/${encodeURIComponent(lang)}`;
  }

  cut(id, lang, what, pad) {
    const asked = new URLSearchParams({ lang, what, pad: String(pad) });
    return `${ROOT}${this.film}/lines/${encodeURIComponent(id)}/sound?${asked}`;
  }

  sound(what, lang) {
    return `${ROOT}${this.film}/sound/${what}.wav?lang=${encodeURIComponent(lang)}`;
  }

  peaks(what, lang, rate) {
    return `${ROOT}${this.film}/peaks/${what}?lang=${encodeURIComponent(lang)}&rate=${rate}`;
  }

  media(path) {
    return `${ROOT}${this.film}/${path}`;
  }
}
