/** The preferences in the field `Prefer` (RFC 7240). */

/**
 * How many seconds a client is ready to wait for an answer; `undefined` where the field does not say,
 * or says it wrongly: a preference that is malformed or unknown is ignored. Of several, the first counts.
 */
export function preferredWait(field: string): number | undefined {
  for (const preference of outsideQuotes(field).split(",")) {
    const [token = ""] = preference.split(";", 1);
    const [name = "", ...value] = token.split("=");
    if (name.trim().toLowerCase() !== "wait") continue;
    const seconds = value.join("=").trim();
    return /^\d+$/.test(seconds) ? Number(seconds) : undefined;
  }
  return undefined;
}

/** Whether a field has a preference, with any value or none. */
export function hasPreference(field: string, wanted: string): boolean {
  return outsideQuotes(field)
    .split(",")
    .some((preference) => preference.split(/[;=]/, 1)[0]?.trim().toLowerCase() === wanted);
}

/** The field without its quoted strings, in which a comma separates nothing. */
function outsideQuotes(field: string): string {
  let outside = "";
  let quoted = false;
  for (let i = 0; i < field.length; i++) {
    const character = field[i] ?? "";
    if (character === '"') quoted = !quoted;
    else if (quoted && character === "\\") i++;
    else if (!quoted) outside += character;
  }
  return outside;
}
