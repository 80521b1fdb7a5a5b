/** Runs in a window of Chromium, for `bench/typing.ts`: a document of Yjs, and when it changed. */
import { SyncDocuments } from "../client/documents.ts";
import { importIdentity } from "../client/identity.ts";
import { IndexedDbStore } from "../client/indexeddb.ts";
import { YjsProvider } from "../client/yjs.ts";

declare const given: { readonly url: string; readonly key: string; readonly passphrase: string };

const identity = await importIdentity(given.key, given.passphrase);
const documents = await SyncDocuments.open({
  url: given.url,
  identity,
  store: await IndexedDbStore.open("typing", identity),
  batch: 50,
});
const { doc } = await new YjsProvider(documents, "typed").whenSynced;
const text = doc.getText("text");
/** When the text had so many characters first, in milliseconds of Unix time. */
const times: number[] = [];
text.observe(() => {
  while (times.length < text.length) times.push(performance.timeOrigin + performance.now());
});

Object.assign(globalThis, {
  times,
  type: () => text.insert(text.length, "x"),
  isLive: () => documents.status.live,
});
