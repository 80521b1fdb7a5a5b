/** Keeps the files of the app, by which the service worker starts it without the network. */
export async function keepForOffline() {
  await navigator.serviceWorker.register("worker.js");
  const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
  const own = loaded.filter((name) => new URL(name).origin === location.origin);
  const names = [location.pathname, "app.webmanifest", "icon.svg", ...own];
  const files = new Set(names.map((name) => new URL(name, location.href).href));
  const cache = await caches.open("todo");
  await cache.addAll([...files]);
  // Those of earlier versions.
  for (const request of await cache.keys()) {
    if (!files.has(request.url)) await cache.delete(request);
  }
  await navigator.serviceWorker.ready;
  document.documentElement.dataset.offline = "ready";
}
