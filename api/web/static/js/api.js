// The REST API.

const RETRY_MS = [500, 1000, 2000, 4000, 8000];

/** An answer other than success; `status` 0: no answer at all. */
export class ApiError extends Error {
  constructor(status, code, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed later. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export class Api {
  #keys;

  constructor(keys) {
    this.#keys = keys;
  }

  /** One GET below /api/v1. Asks for a key where the server wants one; raises ApiError or AbortError. */
  async get(path, parameters = {}, signal = undefined) {
    const url = new URL(`/api/v1${path}`, location.origin);
    for (const [name, value] of Object.entries(parameters)) {
      if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
    }
    let used = this.#keys.current;
    for (;;) {
      const response = await this.#fetch(url, used, signal);
      if (response.ok) return response.json();
      const error = await failure(response);
      if (error.status !== 401) throw error;
      // Another request may have asked for a new key meanwhile.
      const key = this.#keys.current !== used ? this.#keys.current : await this.#keys.ask();
      if (!key) throw error;
      used = key;
    }
  }

  /** The same, tried until it succeeds, `signal` aborts or the answer is final. `told` hears of each failure. */
  async getPatiently(path, parameters, signal, told = () => {}) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const body = await this.get(path, parameters, signal);
        if (attempt) told(null);
        return body;
      } catch (error) {
        if (!(error instanceof ApiError) || !error.passes) throw error;
        told(error);
        const pause = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)] * (0.75 + Math.random() / 2);
        await sleep(Math.max(pause, (error.retryAfter ?? 0) * 1000), signal);
      }
    }
  }

  async #fetch(url, key, signal) {
    const headers = { Accept: "application/json" };
    if (key) headers.Authorization = `Bearer ${key}`;
    try {
      return await fetch(url, { headers, signal, credentials: "same-origin" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "unreachable", "the server does not answer");
    }
  }
}

async function failure(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  try {
    const { error } = await response.json();
    return new ApiError(response.status, error.code, error.message, retryAfter);
  } catch {
    return new ApiError(response.status, "http_error", `the server answers ${response.status}`, retryAfter);
  }
}

function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    });
  });
}
