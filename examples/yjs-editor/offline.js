/** Keeps the files of the app, by which the service worker starts it without the network. */
export async function keepForOffline() {
  const { scope } = await navigator.serviceWorker.register("worker.js");
  // Neither what the app asks a server for, nor what an extension adds.
  const own = performance
    .getEntriesByType("resource")
    .filter(({ name, initiatorType }) => name.startsWith(scope) && initiatorType !== "fetch");
  const names = [scope, "app.webmanifest", "icon.svg", ...own.map(({ name }) => name)];
  const files = new Set(names.map((name) => new URL(name, scope).href));
  const cache = await caches.open("notes");
  await cache.addAll([...files]);
  // Those of earlier versions.
  for (const request of await cache.keys()) {
    if (!files.has(request.url)) await cache.delete(request);
  }
  await navigator.serviceWorker.ready;
  document.documentElement.dataset.offline = "ready";
}
