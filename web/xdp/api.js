/** Questions to the server. What goes wrong is a `Problem` with words for people. */

export class Problem extends Error {
  constructor({ message, advice }) {
    super(message);
    this.advice = advice;
  }
}

/** @param {string} path @param {Record<string, string | number>} query */
export function ask(path, query = {}) {
  return request(path, query, { method: "GET" });
}

/** @param {string} path @param {Record<string, string>} query @param {Blob | null} body */
export function put(path, query, body) {
  const headers = { "content-type": "application/octet-stream" };
  return request(path, query, { method: "POST", headers, body: body ?? "" });
}

async function request(path, query, options) {
  let response;
  try {
    response = await fetch(`/api/${path}?${new URLSearchParams(query)}`, options);
  } catch {
    throw new Problem({
      message: "the server does not answer, or took the file not",
      advice: "Objects may have 16 MiB, captures 64 MiB. Is millrace xdp serve still running?",
    });
  }
  const found = await response.json();
  if (response.ok) return found;
  throw new Problem(found.problem);
}
