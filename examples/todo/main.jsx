/** Lists of things to do: one of the user's own, and any number that are shared. */
import { StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { Enter } from "./Enter.jsx";
import { Home } from "./Home.jsx";
import { knownUser, takeLink } from "./keys.js";

const link = takeLink();

function App() {
  const [user, setUser] = useState();
  useEffect(() => void knownUser().then((known) => setUser(known ?? null)), []);
  if (user === undefined) return null;
  if (user === null) return <Enter text={link.text} onUser={setUser} />;
  return <Home user={user} shared={link.list} />;
}

createRoot(document.getElementById("app")).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
if (import.meta.env.PROD) void keepForOffline();

/** Keeps the files of the app, by which the service worker starts it without the network. */
async function keepForOffline() {
  await navigator.serviceWorker.register("offline.js");
  const files = performance.getEntriesByType("resource").map(({ name }) => name);
  const own = files.filter((name) => new URL(name).origin === location.origin);
  const cache = await caches.open("todo");
  await cache.addAll([location.pathname, ...own]);
  await navigator.serviceWorker.ready;
  document.documentElement.dataset.offline = "ready";
}
