/** The objects that a server stores for a user, read directly from its storage. */
import { type Fingerprint, type ObjectName, parseName, userPrefix } from "../oplog/names.ts";
import { Segment } from "../oplog/segment.ts";
import { textOf } from "../protocol/bytes.ts";
import type { Driver } from "../storage/driver.ts";

interface NamedObject {
  readonly text: string;
  readonly name: ObjectName;
}

export class UserObjects {
  readonly #driver: Driver;
  readonly #prefix: string;
  #objects: readonly NamedObject[] = [];
  /** The object read last, which is usually that of the next operation. */
  #last: { readonly text: string; readonly body: Uint8Array } | undefined;

  constructor(driver: Driver, user: Fingerprint) {
    this.#driver = driver;
    this.#prefix = userPrefix(user);
  }

  /** The name of the object that contains an operation, and the operation's payload. */
  async find(client: string, index: number): Promise<{ object: string; payload: string }> {
    const contains = ({ name }: NamedObject) =>
      name.client === client && name.first <= index && index <= name.last;
    if (!this.#objects.some(contains)) this.#objects = await this.#list();
    const found = this.#objects.find(contains);
    if (found === undefined) throw new Error(`the server does not store operation ${index}`);
    const { text, name } = found;
    if (this.#last?.text !== text) this.#last = { text, body: await this.#driver.get(text) };
    const { body } = this.#last;
    const isSingle = name.first === name.last;
    const payload = isSingle ? textOf(body) : new Segment(name, body).payload(index);
    return { object: text, payload };
  }

  async total(): Promise<{ count: number; bytes: number }> {
    const entries = await this.#driver.list(this.#prefix);
    return { count: entries.length, bytes: entries.reduce((sum, { size }) => sum + size, 0) };
  }

  async #list(): Promise<NamedObject[]> {
    const entries = await this.#driver.list(this.#prefix);
    return entries.flatMap(({ name: text }): NamedObject[] => {
      const name = parseName(text);
      return name === undefined ? [] : [{ text, name }];
    });
  }
}
