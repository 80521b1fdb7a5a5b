/**
 * The service worker: the page opens without the network.
 *
 * The page itself comes from the server whenever that answers. Its script and its style are named by
 * what is in them (`page/notebook.js?…`), so a kept one is never of another version than the page
 * that asks for it. Everything else, `/sync` above all, goes past the worker.
 */

/** What `scripts/page.ts` puts here: the version, and its files, each with its digest (W3C SRI). */
declare const VERSION: string;
declare const FILES: Readonly<Record<string, string>>;

/** What a service worker has, of which the types for pages know nothing. */
interface ExtendableEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface FetchEvent extends ExtendableEvent {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
declare function addEventListener(
  type: "install" | "activate",
  listener: (event: ExtendableEvent) => void,
): void;
declare function addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
declare function skipWaiting(): Promise<void>;
declare const registration: ServiceWorkerRegistration;

/** A server that takes longer for the page counts as one that cannot be reached. */
const PATIENCE_MS = 5000;

const page = new URL(registration.scope);
const files = new Map(
  Object.entries(FILES).map(([path, integrity]) => [new URL(path, page).href, integrity]),
);

const PREFIX = "notebook ";
/** The page looks for it, to see whether it is of the version that is kept. */
const CACHE = PREFIX + VERSION;

addEventListener("install", (event) => event.waitUntil(keep()));
addEventListener("activate", (event) => event.waitUntil(forget((name) => name !== CACHE)));
addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  if (method !== "GET") return;
  const { origin, pathname, href } = new URL(url);
  if (mode === "navigate" && origin === page.origin && pathname === page.pathname) {
    event.respondWith(openPage(event.request));
  } else if (files.has(href)) event.respondWith(fileOf(event.request));
});

/** Keeps all files, or none: what is not of this version fails, and is tried again at the next visit. */
async function keep(): Promise<void> {
  const cache = await caches.open(CACHE);
  const requests = [...files].map(
    ([url, integrity]) => new Request(url, { integrity, cache: "no-cache" }),
  );
  try {
    await cache.addAll(requests);
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
  await skipWaiting();
}

/** The page of the server; the kept one where the server cannot be reached, or a proxy says so. */
async function openPage(request: Request): Promise<Response> {
  const answer = await answerOf(request);
  if (answer instanceof Response) {
    // `DEMO=off`: the page is no longer to be had.
    if (answer.status === 404 || answer.status === 410) {
      await forget(() => true);
      await registration.unregister();
    }
    if (answer.status < 500) return answer;
  }
  const kept = await caches.match(page.href, { cacheName: CACHE });
  if (kept !== undefined) return kept;
  if (answer instanceof Response) return answer;
  throw answer;
}

/** What the server answers, or the error where it does not. */
async function answerOf(request: Request): Promise<unknown> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("the server does not answer")), PATIENCE_MS);
  try {
    return await Promise.race([fetch(request), late]);
  } catch (error) {
    return error;
  } finally {
    clearTimeout(timer);
  }
}

async function fileOf(request: Request): Promise<Response> {
  return (await caches.match(request.url, { cacheName: CACHE })) ?? fetch(request);
}

async function forget(isOld: (name: string) => boolean): Promise<void> {
  const names = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && isOld(name));
  await Promise.all(names.map((name) => caches.delete(name)));
}
