// Asking the server; the newest question only, and what goes wrong as a Problem.

export class Problem extends Error {
  constructor(document, retryAfter) {
    super(document.detail);
    this.status = document.status;
    this.retryAfter = retryAfter;
  }
}

async function answered(response) {
  if (response.ok) return response.json();
  const kind = response.headers.get("content-type") ?? "";
  const document = kind.includes("json")
    ? await response.json()
    : { status: response.status, detail: response.statusText };
  throw new Problem(document, Number(response.headers.get("retry-after")) || 1);
}

function headers(type) {
  const key = sessionStorage.getItem("key");
  return { ...(type && { "Content-Type": type }), ...(key && { Authorization: `Bearer ${key}` }) };
}

export async function get(path) {
  return answered(await fetch(path, { headers: headers() }));
}

export async function post(path, parameters, body, type) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined) query.set(name, value);
  }
  return answered(await fetch(`${path}?${query}`, { method: "POST", body, headers: headers(type) }));
}

/** Return a function that does `work` for the newest arguments: never two at once, none stale. */
export function newest(work) {
  let busy = false;
  let next = null;
  return async function ask(...values) {
    next = values;
    if (busy) return;
    busy = true;
    try {
      while (next) {
        const now = next;
        next = null;
        await work(...now);
      }
    } finally {
      busy = false;
    }
  };
}

export function bytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
