/** Lists of things to do: one of the user's own, and any number that are shared. */
import { StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { Enter } from "./Enter.jsx";
import { Home } from "./Home.jsx";
import { knownUser, takeLink } from "./keys.js";
import { keepForOffline } from "./offline.js";

const link = takeLink();
// A link that is opened where the app is already changes nothing but what is behind `#`.
addEventListener("hashchange", () => location.reload());

function App() {
  const [user, setUser] = useState();
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    const stop = new AbortController();
    const { signal } = stop;
    addEventListener("error", ({ error }) => error && setTrouble(error.message), { signal });
    addEventListener("unhandledrejection", ({ reason }) => setTrouble(reason.message), { signal });
    return () => stop.abort();
  }, []);
  useEffect(() => void knownUser().then((known) => setUser(known ?? null)), []);
  if (user === undefined) return null;
  return (
    <>
      <p role="alert">{trouble}</p>
      {user === null ? (
        <Enter text={link.text} onUser={setUser} />
      ) : (
        <Home user={user} shared={link.list} />
      )}
    </>
  );
}

createRoot(document.getElementById("app")).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
// Elsewhere, the first page says that browsers do not encrypt there.
if (import.meta.env.PROD && isSecureContext) void keepForOffline();
