/** Compares the CPU that texts cost: a pattern that backtracks shows against a plain text. */
import assert from "node:assert/strict";

/** Characters that patterns of this project, and of the formats that it reads, repeat or look for. */
const CHARACTERS = [..."= \t\r\n-_+/.,;:\"'\\()[]{}<>%#?&*@~^$|!`0aAfZ\u00e9"];

/** What may stand before and after a repeated character, so that a match begins and then fails. */
const BEGINNINGS = ["", "a", '"', "a=", "["];
const ENDINGS = ["!", "\n"];

/** What a text may cost, as a multiple of a plain one of the same size. Backtracking costs hundreds. */
const MAX_RATIO = 20;

/** A busy machine is not faster than it is: what costs too much once is measured again. */
const TRIES = 8;

/** Below this, in microseconds, a clock shows the machine and not the work. */
const FLOOR = 250;

/** The texts of a size that cost a careless pattern most. */
export function* worstTexts(
  size: number,
  { endings = ENDINGS, around: [before, after] = ["", ""] }: WorstOptions = {},
): Generator<string> {
  for (const character of CHARACTERS) {
    for (const beginning of BEGINNINGS) {
      for (const ending of endings) {
        const room = size - before.length - beginning.length - ending.length - after.length;
        yield before + beginning + character.repeat(room) + ending + after;
      }
    }
  }
}

export interface WorstOptions {
  /** What may follow the repeated character. */
  readonly endings?: readonly string[];
  /** What the text has to begin and to end with, to be read at all. */
  readonly around?: readonly [string, string];
}

/**
 * Fails if one of the worst texts of a size costs many times the CPU of a plain one.
 *
 * @param read reads the text, whatever becomes of it
 */
export async function assertLinear(
  size: number,
  read: (text: string) => unknown,
  options: WorstOptions = {},
): Promise<void> {
  const [before, after] = options.around ?? ["", ""];
  const plain = before + "a".repeat(size - before.length - after.length) + after;
  let usual = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES; i++) usual = Math.min(usual, await cost(read, plain));
  usual = Math.max(FLOOR, usual);
  for (const text of worstTexts(size, options)) {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < TRIES && least > usual * MAX_RATIO; i++) {
      least = Math.min(least, await cost(read, text));
    }
    const shown = `${JSON.stringify(text.slice(0, 12))}…${JSON.stringify(text.slice(-4))}`;
    assert.ok(
      least <= usual * MAX_RATIO,
      `${shown} of ${size} characters takes ${Math.round(least / usual)} times a plain text`,
    );
  }
}

/** Microseconds of CPU. */
async function cost(read: (text: string) => unknown, text: string): Promise<number> {
  const before = process.cpuUsage();
  try {
    await read(text);
  } catch (error) {
    // Most of the texts are refused.
    if (!(error instanceof Error)) throw error;
  }
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
