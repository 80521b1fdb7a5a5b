/** What `verify` may find, and what to do about it. */
import type { Output } from "../output.ts";

export type Kind = "damaged" | "hole" | "fork" | "foreign" | "journal" | "unchecked";

export interface Finding {
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

export const ADVICE: Readonly<Record<Kind, string>> = {
  damaged:
    "Put the object back from a backup, under this very name; --full shows it whole. Without a " +
    "backup leave it as it is: the server asks the device that wrote it to send it again. A disk that " +
    "changes what it stores has to be replaced: dmesg and its SMART values show more.",
  hole:
    "Copy the objects with these operations from a backup into the storage; what is there already " +
    "is not to be replaced. Without a backup leave it: the server asks the device that wrote them to " +
    "send them again, and holds back what follows until then.",
  fork:
    "Nothing is lost. Two devices have used one client id, as after a device was restored from a " +
    "backup or copied. Its user has to look at what the app says on these devices.",
  foreign:
    "No server of this version has stored these. Move them out of the storage, unless a newer version " +
    "has been in use.",
  journal:
    "What these bytes held is lost here. Copy the objects of a backup into the storage, as files in " +
    "the folders of their users; without a backup, devices are asked to send it again. Check the disk.",
  unchecked:
    "The storage did not answer for these: run verify again, with --user to look at them alone.",
};

/** Prints findings as they come, and counts them. */
export class Report {
  readonly counts: Record<Kind, number> = {
    damaged: 0,
    hole: 0,
    fork: 0,
    foreign: 0,
    journal: 0,
    unchecked: 0,
  };
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  async add(finding: Finding): Promise<void> {
    const { kind, what, ...where } = finding;
    this.counts[kind]++;
    const json = { finding: kind, ...where, what, advice: ADVICE[kind] };
    await this.#output.print(json, `${kind}: ${what}`);
  }

  /** What was found, in words; `undefined` where that is nothing. */
  get found(): string | undefined {
    const some = Object.entries(this.counts).filter(([, count]) => count > 0);
    return some.length === 0
      ? undefined
      : some.map(([kind, count]) => `${count} ${kind}`).join(", ");
  }

  /** Prints what to do about what was found. */
  async advise(): Promise<void> {
    for (const [kind, count] of Object.entries(this.counts)) {
      if (count > 0) await this.#output.text(`${kind}: ${adviceOn(kind)}`);
    }
  }

  /** 0: all is whole; 1: something is not; 2: something could not be checked. */
  get exitCode(): number {
    const { unchecked, ...others } = this.counts;
    if (Object.values(others).some((count) => count > 0)) return 1;
    return unchecked > 0 ? 2 : 0;
  }
}

function adviceOn(kind: string): string {
  return Object.entries(ADVICE).find(([other]) => other === kind)?.[1] ?? "";
}
