import type { Driver, PutOptions, StoredObject } from "../../storage/driver.ts";

const LIST_PAGE = 3;

/** Lists page by page in order, as S3 does: a change between two pages shows in part. */
export class PagedDriver implements Driver {
  readonly #driver: Driver;
  readonly #betweenPages: () => Promise<void> | undefined;

  constructor(driver: Driver, betweenPages: () => Promise<void> | undefined) {
    this.#driver = driver;
    this.#betweenPages = betweenPages;
  }

  async list(prefix: string): Promise<StoredObject[]> {
    const found: StoredObject[] = [];
    for (;;) {
      const last = found.at(-1)?.name ?? "";
      const rest = (await this.#driver.list(prefix)).filter(({ name }) => name > last);
      found.push(...rest.slice(0, LIST_PAGE));
      if (rest.length <= LIST_PAGE) return found;
      await this.#betweenPages();
    }
  }

  get(name: string): Promise<Uint8Array> {
    return this.#driver.get(name);
  }

  put(name: string, body: Uint8Array, options?: PutOptions): Promise<void> {
    return this.#driver.put(name, body, options);
  }

  delete(name: string): Promise<void> {
    return this.#driver.delete(name);
  }

  close(): Promise<void> {
    return this.#driver.close();
  }
}
