/** What has changed between two texts, as the smallest replacement. */

/** At `at`, `removed` UTF-16 code units give way to a text. */
export interface TextChange {
  readonly at: number;
  readonly removed: number;
  readonly inserted: string;
}

/** The one replacement that makes a text of another. It cuts no character of two code units apart. */
export function textChange(before: string, after: string): TextChange {
  const most = Math.min(before.length, after.length);
  let at = 0;
  while (at < most && before.charCodeAt(at) === after.charCodeAt(at)) at++;
  if (isInPair(before, at) || isInPair(after, at)) at--;
  let same = 0;
  while (same < most - at && unitFromEnd(before, same) === unitFromEnd(after, same)) same++;
  if (isInPair(before, before.length - same) || isInPair(after, after.length - same)) same--;
  const removed = before.length - same - at;
  const added = after.length - same - at;
  if (removed > 0 === added > 0) {
    return { at, removed, inserted: after.slice(at, after.length - same) };
  }
  at = wordBefore(before, after, at);
  return { at, removed, inserted: after.slice(at, at + added) };
}

/**
 * The replacement in a text that a person has made in a field. A field gives each end of a line back as a
 * line feed (HTML, “API value” of a textarea), so the ends of lines in between do not count as changed.
 */
export function fieldChange(before: string, field: string): TextChange {
  if (!before.includes("\r")) return textChange(before, field);
  const { at, removed, inserted } = textChange(before.replace(/\r\n?/g, "\n"), field);
  let start = placeIn(before, at);
  const end = placeIn(before, at + removed);
  let text = inserted;
  // A carriage return would become one end of a line with a line feed that comes to stand after it.
  while (before[start - 1] === "\r" && (text || before.slice(end, end + 1)).startsWith("\n")) {
    start--;
    text = `\n${text}`;
  }
  return { at: start, removed: end - start, inserted: text };
}

/** Where in a text is what is at a place where all ends of lines are line feeds. */
function placeIn(text: string, place: number): number {
  let at = 0;
  for (let left = place; left > 0; left--) at += text.startsWith("\r\n", at) ? 2 : 1;
  return at;
}

/**
 * Where else a replacement that only inserts or only removes can begin, with the same outcome: where a word
 * begins, if it can. “the cat” becomes “then the cat” by “then ” before it, and not by “n the” in it, so the
 * words stay whole where another device removes “the” at the same time.
 */
function wordBefore(before: string, after: string, at: number): number {
  const length = Math.abs(after.length - before.length);
  const longer = after.length > before.length ? after : before;
  for (let start = at; ; start--) {
    if (start === 0 || /\s/.test(longer.charAt(start - 1))) return start;
    if (longer.charCodeAt(start - 1) !== longer.charCodeAt(start - 1 + length)) return at;
  }
}

/** The code unit before the last `count` ones. */
function unitFromEnd(text: string, count: number): number {
  return text.charCodeAt(text.length - 1 - count);
}

/** Whether a place is between the two code units of one character. */
function isInPair(text: string, at: number): boolean {
  return at > 0 && at < text.length && (text.codePointAt(at - 1) ?? 0) > 0xffff;
}
