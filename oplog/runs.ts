/** Runs as names and listings have them, and sequences made of them. */
import type { ObjectName } from "./names.ts";
import { byName, type Run, Sequence } from "./sequence.ts";

/** The runs that are not among others. In byte order of names, as they have to be. */
export function difference(runs: readonly Run[], others: readonly Run[]): Run[] {
  const sorted = others.toSorted(byName);
  let next = 0;
  return runs.filter((run) => {
    let other = sorted[next];
    while (other !== undefined && byName(other, run) < 0) other = sorted[++next];
    return other === undefined || byName(other, run) !== 0;
  });
}

/**
 * A sequence of other runs, from which the same was trimmed.
 *
 * @param runs in byte order of their names
 */
export function sequenceOf(runs: readonly Run[], before?: Sequence): Sequence {
  const sequence = new Sequence(before?.base);
  for (const run of before?.trimmed ?? []) sequence.add(run);
  for (const run of runs) sequence.add(run);
  return sequence;
}

/** A sequence without what comes before `base`. */
export function trimmedTo(base: number, sequence: Sequence | undefined): Sequence {
  const trimmed = new Sequence(base);
  for (const run of sequence?.runs ?? []) trimmed.add(run);
  return trimmed;
}

export function storedBytes(sequence: Sequence | undefined): number {
  return sequence?.runs.reduce((sum, { size }) => sum + size, 0) ?? 0;
}

export function runsOf(sequence: Sequence | undefined): number {
  return sequence?.runs.length ?? 0;
}

/** Whether two sequences show the same. */
export function isSameSequence(a: Sequence | undefined, b: Sequence | undefined): boolean {
  const textOf = (sequence: Sequence | undefined) =>
    sequence && `${sequence.base} ${sequence.runs.map(keyOf).join()}`;
  return textOf(a) === textOf(b);
}

function keyOf({ first, last, md5, crc32 = "" }: Run): string {
  return `${first}-${last}.${md5}.${crc32}`;
}

/** @param own what is kept of a text in the name */
export function runOf(
  { first, last, md5, crc32 }: ObjectName,
  size: number,
  own = (text: string) => text,
): Run {
  if (crc32 === undefined) return { first, last, md5: own(md5), size };
  return { first, last, md5: own(md5), crc32: own(crc32), size };
}

/**
 * A copy that shares no memory: for a part of a name, engines keep the whole name in memory. Copying
 * by characters takes a fraction of the time that encoding and decoding takes.
 */
export function copyOf(text: string): string {
  const codes = new Array<number>(text.length);
  for (let i = 0; i < text.length; i++) codes[i] = text.charCodeAt(i);
  return String.fromCharCode(...codes);
}
