/** A service worker: the app starts without the network. Its files are the network's where it is there. */
const CACHE = "todo";

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => {
  const { request } = event;
  // The server for sync has another origin, and answers no GET that the app needs.
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  event.respondWith(respond(request));
});

async function respond(request) {
  const cache = await caches.open(CACHE);
  try {
    return await fetch(request);
  } catch (error) {
    // Whatever the path and the query of a page, the app is one page. A script is asked for with an origin.
    const file = request.mode === "navigate" ? registration.scope : request;
    const kept = await cache.match(file, { ignoreVary: true });
    if (kept === undefined) throw error;
    return kept;
  }
}
