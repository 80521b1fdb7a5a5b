/** Runs work under one name one after the other. */
export class NameLocks {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Begins at once where nothing else is under way for this name. */
  run<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const before = this.#last.get(name);
    const done = before === undefined ? work() : before.then(work, work);
    this.#last.set(name, done);
    const release = () => {
      if (this.#last.get(name) === done) this.#last.delete(name);
    };
    done.then(release, release);
    return done;
  }
}
