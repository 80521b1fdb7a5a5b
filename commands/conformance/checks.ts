/** What a case finds, and how it says that a server does otherwise. */

/** The server does otherwise. The message says how, in a line. */
export class Broken extends Error {
  override name = "Broken";
}

/** Whether the server follows the rule does not show. The message says why. */
export class CannotTry extends Error {
  override name = "CannotTry";
}

/** Values in a message are cut to this length. */
const SHOWN = 300;

/** Throws `Broken` unless two values have the same JSON. */
export function same(what: string, actual: unknown, expected: unknown): void {
  const [is, right] = [inJson(actual), inJson(expected)];
  if (is !== right) throw new Broken(`${what}: ${clipped(is)}, not ${clipped(right)}`);
}

/** Throws `Broken` unless something holds. */
export function holds(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Broken(what);
}

function inJson(value: unknown): string {
  return JSON.stringify(value) ?? "nothing";
}

export function clipped(text: string): string {
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN)}…`;
}
