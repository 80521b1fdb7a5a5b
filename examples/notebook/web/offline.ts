/** Has the browser keep the page, so that it opens without the network, and says whether it does. */
import { find, sentenceOf, setText } from "./dom.ts";

const WORKER = "page/worker.js";

/** Browsers that have Trusted Types take the address of a worker only from a policy. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { readonly createScriptURL: () => string },
  ): { createScriptURL(text: string): string };
}
declare const trustedTypes: TrustedTypes | undefined;

/** Registers the service worker. The page works without one, so a failure is said where it matters. */
export async function keepForOffline(): Promise<void> {
  const line = find("offline", HTMLElement);
  if (!("serviceWorker" in navigator)) {
    setText(line, "This browser does not keep the page: it opens only while the server answers.");
    return;
  }
  try {
    const registration = await navigator.serviceWorker.register(addressOfWorker(), {
      scope: "./",
      // The browser's own cache must not delay an update.
      updateViaCache: "none",
    });
    const follow = () => {
      const { installing } = registration;
      installing?.addEventListener("statechange", async () => {
        if (installing.state === "activated") await showUpdate();
        // Where a new one fails, the one before goes on.
        if (installing.state !== "redundant" || registration.active !== null) return;
        setText(line, "This browser has not kept the page: reload it to try that again.");
      });
    };
    follow();
    registration.addEventListener("updatefound", follow);
    lookForUpdates(registration);
    await navigator.serviceWorker.ready;
    setText(line, "This browser keeps the page: it opens without the network too.");
  } catch (error) {
    setText(line, `The page opens only while the server answers. ${sentenceOf(error)}`);
  }
}

/** Has the browser look for a new version whenever a window that stays open is seen again. */
function lookForUpdates(registration: ServiceWorkerRegistration): void {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    // Without the network there is none. The status says so.
    registration.update().catch(() => undefined);
  });
}

/** Offers to reload the page where the browser keeps a newer version than this one. */
async function showUpdate(): Promise<void> {
  const { version = "" } = document.documentElement.dataset;
  if (await caches.has(`notebook ${version}`)) return;
  find("updated", HTMLElement).hidden = false;
  find("reload", HTMLButtonElement).addEventListener("click", () => location.reload());
}

function addressOfWorker(): string {
  if (typeof trustedTypes === "undefined") return WORKER;
  // The policy that the server allows has one address, whatever it is asked for.
  return trustedTypes.createPolicy("worker", { createScriptURL: () => WORKER }).createScriptURL("");
}
