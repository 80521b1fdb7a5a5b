/** Something went wrong with documents; `cause` has the error behind it. */
export class DocumentError extends Error {
  override readonly name = "DocumentError";
  /** The names of the documents concerned. */
  readonly documents: readonly string[];

  constructor(message: string, documents: readonly string[], cause?: unknown) {
    super(message, { cause });
    this.documents = documents;
  }
}

/** Updates on which a handler of the app failed, or its `merge`. */
export function failedOn(document: string, cause: unknown): DocumentError {
  const message = `the app failed on updates of "${document}", which stay stored: ${cause}`;
  return new DocumentError(message, [document], cause);
}

/** Updates that are in memory alone. */
export function notStored(documents: readonly string[], cause: unknown): DocumentError {
  const what = documents.map((name) => `"${name}"`).join(", ");
  // Later changes wait with it: see `shrink`.
  const advice = cause instanceof RangeError ? "; delete what is large in it" : "";
  const message = `changes of ${what} are not stored on this device and are lost if the app is closed: ${cause}${advice}`;
  return new DocumentError(message, documents, cause);
}

/** What is asked of documents that are closed. */
export function closed(): Error {
  return new Error("the documents are closed");
}

/** Entries of another version of the app, or of another app. */
export function unknownEntries(): DocumentError {
  const message =
    "the log has entries that are no updates: a newer version of the app made them, or one with `receive`";
  return new DocumentError(message, []);
}
