/** Client ids and operation indexes, as both ends check them (PROTOCOL.md, Terminology). */

/** A UUID in its canonical form, lower case, as the source of a regular expression. */
export const CLIENT_ID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

const canonical = new RegExp(`^${CLIENT_ID}$`);

/** The largest operation index: the largest integer that JSON readers keep exact. */
export const MAX_INDEX = 2 ** 53 - 1;

/** Whether a value is a client id in its canonical form, which the server stores and sends. */
export function isClientId(value: unknown): value is string {
  return typeof value === "string" && canonical.test(value);
}

/** The canonical form of a client id in upper or lower case; `undefined` for any other text. */
export function parseClientId(text: string): string | undefined {
  // Nearly all are canonical: these make no other string.
  if (canonical.test(text)) return text;
  const id = text.toLowerCase();
  return canonical.test(id) ? id : undefined;
}

/** Whether a value is a whole number from 0 to `MAX_INDEX`. */
export function isOperationIndex(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
