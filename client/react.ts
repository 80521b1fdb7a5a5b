/** Documents in React: opened and closed with the components that show them. */
import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import type { StatusSource } from "./document-source.ts";
import type { Status } from "./types.ts";

/** What is opened and closed with a component: `SyncDocuments`. */
export interface Closable {
  close(): Promise<void>;
}

/** What `useSync` has opened; nothing at first. */
export interface Opened<Documents> {
  readonly documents?: Documents;
  /** What `open` rejected with: show it, and open with another `key` to try again. */
  readonly error?: unknown;
}

/** A document of a library, such as a `YjsProvider`. */
export interface Binding {
  readonly whenLoaded: Promise<unknown>;
  destroy(): void;
}

/**
 * Opens documents when the component is mounted, and closes them when it is unmounted.
 *
 * @param open calls `SyncDocuments.open`
 * @param key with another one, they are closed, and `open` is called again: such as the user's name
 */
export function useSync<Documents extends Closable>(
  open: () => Promise<Documents>,
  key: unknown = undefined,
): Opened<Documents> {
  const [opened, setOpened] = useState<Opened<Documents>>({});
  // biome-ignore lint/correctness/useExhaustiveDependencies: a component makes `open` anew each time
  useEffect(() => {
    let isShown = true;
    const show = (next: Opened<Documents>) => {
      if (isShown) setOpened(next);
    };
    const opening = open();
    opening.then(
      (documents) => show({ documents }),
      (error: unknown) => show({ error }),
    );
    return () => {
      isShown = false;
      setOpened({});
      // What cannot be stored is not to end unnoticed: the runtime reports it as uncaught.
      void opening.then(
        (documents) => documents.close(),
        () => undefined,
      );
    };
  }, [key]);
  return opened;
}

/** The status of the documents; `undefined` as long as they are not open. */
export function useSyncStatus(documents: StatusSource | undefined): Status | undefined {
  const subscribe = useCallback(
    (listener: () => void) => documents?.subscribe(listener) ?? (() => undefined),
    [documents],
  );
  const status = () => documents?.status;
  return useSyncExternalStore(subscribe, status, status);
}

/**
 * Opens a document when the component is mounted, and closes it when that is unmounted. Returns it once
 * what is on this device is in it, and `undefined` before.
 *
 * @param documents those of `useSync`
 * @param name another document is opened for another name
 * @param open such as `(documents, name) => new YjsProvider(documents, name)`
 */
export function useDocument<Documents extends object, Document extends Binding>(
  documents: Documents | undefined,
  name: string,
  open: (documents: Documents, name: string) => Document,
): Document | undefined {
  const [loaded, setLoaded] = useState<{
    readonly documents: Documents;
    readonly name: string;
    readonly document: Document;
  }>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: a component makes `open` anew each time
  useEffect(() => {
    if (documents === undefined) return;
    let isShown = true;
    const document = open(documents, name);
    document.whenLoaded.then(
      () => {
        if (isShown) setLoaded({ documents, name, document });
      },
      // It was destroyed, or the documents were closed: what was waited for is not shown any more.
      () => undefined,
    );
    return () => {
      isShown = false;
      document.destroy();
    };
  }, [documents, name]);
  // Until the effect has run, it is the document of another name.
  const isCurrent = loaded?.documents === documents && loaded?.name === name;
  return isCurrent ? loaded?.document : undefined;
}
