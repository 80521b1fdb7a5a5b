/** What lies in a server's storage for one user, for the demo to show. */

import { isFingerprint, type ObjectName, parseName, userPrefix } from "../oplog/names.ts";
import { Segment } from "../oplog/segment.ts";
import type { Driver } from "../storage/driver.ts";

interface Held {
  readonly text: string;
  readonly name: ObjectName;
}

export class Holdings {
  readonly #driver: Driver;
  readonly #prefix: string;
  #objects: readonly Held[] = [];
  /** The object read last: operations come in order. */
  #body: { readonly object: string; readonly bytes: Uint8Array } | undefined;

  constructor(driver: Driver, fingerprint: string) {
    if (!isFingerprint(fingerprint)) throw new TypeError("this is no fingerprint");
    this.#driver = driver;
    this.#prefix = userPrefix(fingerprint);
  }

  /** The object that holds an operation, and the operation's payload in it. */
  async find(client: string, index: number): Promise<{ object: string; payload: string }> {
    const holds = ({ name }: Held) =>
      name.client === client && name.first <= index && index <= name.last;
    if (!this.#objects.some(holds)) await this.#list();
    const found = this.#objects.find(holds);
    if (found === undefined) throw new Error(`the server does not hold operation ${index}`);
    const { text: object, name } = found;
    if (this.#body?.object !== object) {
      this.#body = { object, bytes: await this.#driver.get(object) };
    }
    const { bytes } = this.#body;
    const single = name.first === name.last;
    const payload = single
      ? new TextDecoder().decode(bytes)
      : new Segment(name, bytes).payload(index);
    return { object, payload };
  }

  /** How many objects there are, and their bytes. */
  async total(): Promise<{ objects: number; bytes: number }> {
    const entries = await this.#driver.list(this.#prefix);
    return { objects: entries.length, bytes: entries.reduce((sum, { size }) => sum + size, 0) };
  }

  async #list(): Promise<void> {
    this.#objects = (await this.#driver.list(this.#prefix)).flatMap(({ name: text }): Held[] => {
      const name = parseName(text);
      return name === undefined ? [] : [{ text, name }];
    });
  }
}
