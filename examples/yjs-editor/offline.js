/** Keeps the page with its files, all of one build, by which the service worker starts it without the network. */
export async function keepForOffline() {
  const { scope } = await navigator.serviceWorker.register("worker.js");
  const page = await fetch(scope);
  if (!page.ok) return;
  const { head } = new DOMParser().parseFromString(await page.clone().text(), "text/html");
  const links = [...head.querySelectorAll("[src], [href]")].map(({ src, href }) => src ?? href);
  const files = links.filter((file) => file.startsWith(scope));
  const cache = await caches.open("notes");
  // The page comes last: its files are there then.
  await cache.addAll(files);
  await cache.put(scope, page);
  // Those of earlier builds.
  for (const request of await cache.keys()) {
    if (![scope, ...files].includes(request.url)) await cache.delete(request);
  }
  await navigator.serviceWorker.ready;
  document.documentElement.dataset.offline = "ready";
}
