import type { FileMaker } from "./file-maker.ts";
import type { Journals } from "./journals.ts";
import type { JournalWriter } from "./writer.ts";

export interface RescueOptions {
  readonly journals: Journals;
  readonly writer: JournalWriter;
  readonly maker: FileMaker;
}

/**
 * Takes in what batches without a commit hold. After a power loss such a batch may have been
 * acknowledged: its commit may not have reached the disk. So its deletes are written anew, and its
 * objects become files. If its owner still lives, it was not acknowledged, and stays a put that may
 * have stored something, whatever its owner makes of it.
 */
export class Rescue {
  readonly #options: RescueOptions;
  /** The names in such batches that could not be taken in. */
  #pending: readonly string[] = [];

  constructor(options: RescueOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { journals, writer, maker } = this.#options;
    const tails = journals.all().map((journal) => ({ journal, tail: journals.tailOf(journal) }));
    const deletes = tails
      .flatMap(({ journal, tail }) => journals.deletesAmong(journal, tail))
      .filter(({ journal, name, offset, heldBy }) => {
        const state = journal.stateOf(name, offset);
        return state !== "deleted" && !(state === "moved" && heldBy === name);
      });
    const puts = tails.flatMap(({ journal, tail }) =>
      tail
        .filter(({ kind }) => kind === "put")
        .map(({ name, offset, body }) => ({ journal, name, offset, body })),
    );
    this.#pending = [...deletes, ...puts].map(({ name }) => name);
    if (deletes.length > 0) await writer.write(deletes);
    await maker.make(puts, ({ body }) => body);
    this.#pending = [];
  }

  /** Whether objects whose names begin with a prefix could not be taken in yet. */
  isPending(prefix = ""): boolean {
    return this.#pending.some((name) => name.startsWith(prefix));
  }
}
