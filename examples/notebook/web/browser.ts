/** What the page needs of a browser, and what a person can do where a browser does not give it. */

/** Each may be absent in an old browser. Reading one may throw where the user forbids it. */
const NEEDED: readonly (readonly [name: string, read: () => unknown])[] = [
  ["IndexedDB", () => window.indexedDB],
  ["localStorage", () => window.localStorage],
  ["Web Locks", () => navigator.locks],
  ["BroadcastChannel", () => window.BroadcastChannel],
  ["Promise.withResolvers", () => Promise.withResolvers],
  ["String.isWellFormed", () => String.prototype.isWellFormed],
];

/** Throws an error for the user where the browser lacks something. */
export function checkBrowser(): void {
  if (!window.isSecureContext || crypto.subtle === undefined) {
    throw new Error(
      "browsers encrypt only on pages from localhost or over HTTPS: open this page there",
    );
  }
  const missing = NEEDED.filter(([, read]) => ifAllowed(read) === undefined).map(([name]) => name);
  if (missing.length === 0) return;
  throw new Error(
    `this browser does not have what the page needs (${missing.join(", ")}): update it, use another ` +
      "one, or allow this site to store data",
  );
}

/** Runs work that stores or reads data; where it fails, says what the user can do. */
export async function withStorage<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw storageError(error);
  }
}

/** An error for the user, from one of the browser's storage. Other errors are given back. */
function storageError(error: unknown): unknown {
  if (!(error instanceof DOMException)) return error;
  const { name, message } = error;
  const reason = message === "" ? name : message;
  const advice =
    name === "QuotaExceededError"
      ? "make room on this device, or allow this site to store more"
      : "leave private browsing, allow this site to store data, or restart the browser";
  return new Error(`the browser does not store data for this page (${reason}): ${advice}`, {
    cause: error,
  });
}

/** Asks the browser to keep the data when it needs room. The notebook works whatever it answers. */
export async function askToPersist(): Promise<void> {
  if (!("storage" in navigator) || !("persist" in navigator.storage)) return;
  await navigator.storage.persist().catch(() => false);
}

/** What reading gives; `undefined` where the user has forbidden the page to store data. */
export function ifAllowed<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof DOMException) return undefined;
    throw error;
  }
}
