/** Runs in pages of one browser: notes of Yjs in React, as an app would have them, driven by a test. */
import { type ChangeEvent, createElement, StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { SyncDocuments } from "../../client/documents.ts";
import { identityOf } from "../../client/identity/identity.ts";
import { IndexedDbStore } from "../../client/indexeddb.ts";
import { useDocument, useSync, useSyncStatus } from "../../client/react.ts";
import { YjsProvider } from "../../client/yjs.ts";
import { fromBase64url } from "../../protocol/base64.ts";
import vectors from "../vectors/envelope.json" with { type: "json" };

async function open(): Promise<SyncDocuments> {
  const identity = await identityOf(fromBase64url(vectors.private_key_pkcs8) ?? new Uint8Array());
  const store = await IndexedDbStore.open("documents", identity);
  const documents = await SyncDocuments.open({ url: location.origin, identity, store, batch: 50 });
  // What is being stored when a page ends can be lost with it.
  Object.assign(globalThis, { flush: () => documents.flush() });
  return documents;
}

function App() {
  const [attempt, setAttempt] = useState("first");
  const [name, setName] = useState("one");
  const { documents, error } = useSync(
    () => (attempt === "failing" ? Promise.reject(new Error("no store")) : open()),
    attempt,
  );
  const status = useSyncStatus(documents);
  const provider = useDocument(
    documents,
    name,
    (documents, name) => new YjsProvider(documents, name),
  );
  const button = (id: string, onClick: () => void) =>
    createElement("button", { id, onClick, type: "button" }, id);
  return createElement(
    "main",
    null,
    createElement("output", { id: "status" }, String(error ?? status?.state ?? "opening")),
    button("two", () => setName("two")),
    button("failing", () => setAttempt("failing")),
    button("again", () => setAttempt("again")),
    provider && createElement(Note, { provider }),
  );
}

function Note({ provider }: { readonly provider: YjsProvider }) {
  const text = provider.doc.getText("text");
  const [value, setValue] = useState(() => text.toString());
  const [received, setReceived] = useState(0);
  useEffect(() => {
    const show = (_: Uint8Array, origin: unknown) => {
      setValue(text.toString());
      if (origin === provider) setReceived((count) => count + 1);
    };
    setValue(text.toString());
    provider.doc.on("update", show);
    return () => provider.doc.off("update", show);
  }, [provider, text]);
  const onChange = ({ target }: ChangeEvent<HTMLTextAreaElement>) => {
    text.insert(text.length, target.value.slice(text.length));
  };
  return createElement("textarea", { value, onChange, "data-received": received });
}

const root = document.createElement("div");
document.body.append(root);
const mounted = createRoot(root);
mounted.render(createElement(StrictMode, null, createElement(App)));
Object.assign(globalThis, { unmount: () => mounted.unmount() });
