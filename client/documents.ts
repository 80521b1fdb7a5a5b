/** Many named documents in one log: what bindings to other libraries stand on. */
export type { DocumentHandler, OpenDocument } from "./documents/document.ts";
export {
  type DocumentsOptions,
  type DocumentUpdate,
  type StatusSource,
  SyncDocuments,
} from "./documents/documents.ts";
export type { NamedUpdate } from "./documents/entry.ts";
export { DocumentError } from "./documents/errors.ts";
