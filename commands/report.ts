/** What a command finds, as it finds it, and what to do about it. */
import type { Output } from "./output.ts";

export interface Finding<Kind extends string> {
  readonly kind: Kind;
  /** Where it is and what is wrong, in a line. */
  readonly what: string;
  readonly user?: string;
  readonly client?: string;
  /** The operations that it is about. */
  readonly first?: number;
  readonly last?: number;
  /** The name of the object. */
  readonly object?: string;
  /** The file, and the bytes in it. */
  readonly journal?: string;
  readonly offset?: number;
  readonly bytes?: number;
}

/** Prints findings as they come, and counts them. */
export class Report<Kind extends string> {
  readonly counts: Map<Kind, number>;
  readonly #output: Output;
  readonly #advice: Readonly<Record<Kind, string>>;

  /** @param kinds in the order in which they are named at the end */
  constructor(output: Output, kinds: readonly Kind[], advice: Readonly<Record<Kind, string>>) {
    this.counts = new Map(kinds.map((kind) => [kind, 0]));
    this.#output = output;
    this.#advice = advice;
  }

  async add(finding: Finding<Kind>): Promise<void> {
    const { kind, what, ...where } = finding;
    this.counts.set(kind, this.count(kind) + 1);
    const json = { finding: kind, ...where, what, advice: this.#advice[kind] };
    await this.#output.print(json, `${kind}: ${what}`);
  }

  count(kind: Kind): number {
    return this.counts.get(kind) ?? 0;
  }

  /** What was found, in words; `undefined` where that is nothing. */
  get found(): string | undefined {
    const some = [...this.counts].filter(([, count]) => count > 0);
    return some.length === 0
      ? undefined
      : some.map(([kind, count]) => `${count} ${kind}`).join(", ");
  }

  /** Prints what to do about what was found. */
  async advise(): Promise<void> {
    for (const [kind, count] of this.counts) {
      if (count > 0) await this.#output.text(`${kind}: ${this.#advice[kind]}`);
    }
  }
}
