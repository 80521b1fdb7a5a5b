import type { Bytes } from "../protocol/bytes.ts";
import type { Content } from "./content.ts";
import {
  beginSession,
  MAX_DISTANCE,
  NO_PREVIOUS,
  originOf,
  type Place,
  type Session,
  seal,
} from "./envelope.ts";
import { StoreDamaged } from "./errors.ts";
import type { Page } from "./operation.ts";
import type { OwnClient } from "./stores/store.ts";
import type { Continues, Identity } from "./types.ts";

/** Operations under a new client id. */
export interface Resealed {
  readonly payloads: readonly string[];
  /** The number of entries in each. */
  readonly counts: readonly number[];
  /** The tag of the last. */
  readonly tag: Bytes;
}

/** Seals operations of an installation, one after the other, and begins sessions where one is needed. */
export class Sealer {
  readonly #identity: Identity;
  readonly #sessionBefore: (client: string, index: number) => Promise<Session | undefined>;
  /** The session of the last operation sealed, and its client id. */
  #last: { readonly client: string; readonly session: Session } | undefined;

  /** @param sessionBefore the session of the stored operation before an index, if that opens */
  constructor(
    identity: Identity,
    sessionBefore: (client: string, index: number) => Promise<Session | undefined>,
  ) {
    this.#identity = identity;
    this.#sessionBefore = sessionBefore;
  }

  /** Others may have sealed operations: goes on with the session of what is stored. */
  reset(): void {
    this.#last = undefined;
  }

  /**
   * Seals consecutive operations.
   *
   * @param previous the tag of the payload before the first
   * @returns the payloads, and the tag of the last
   */
  async seal(
    client: string,
    first: number,
    previous: Bytes,
    contents: readonly Content[],
  ): Promise<{ readonly payloads: string[]; readonly tag: Bytes }> {
    const origin = originOf(this.#identity, client);
    const payloads: string[] = [];
    let tag = previous;
    for (const [i, content] of contents.entries()) {
      const place = { origin, index: first + i, previous: tag };
      const session =
        content.snapshot === undefined
          ? await this.#sessionAt(client, place)
          : await this.#begin(client, place);
      const sealed = await seal(session, place, content);
      payloads.push(sealed.payload);
      tag = sealed.tag;
    }
    return { payloads, tag };
  }

  /**
   * Seals operations again under a new client id. Throws `StoreDamaged` where one cannot be read.
   *
   * @param pages those of the old one from the index `first` on
   * @param continues what the new client id says that it continues
   */
  async sealAgain(
    own: OwnClient,
    first: number,
    pages: AsyncIterable<Page>,
    to: string,
    continues: readonly Continues[] | undefined,
  ): Promise<Resealed> {
    const payloads: string[] = [];
    const counts: number[] = [];
    let tag = NO_PREVIOUS;
    for await (const { operations } of pages) {
      const contents = operations.map(({ index, content }) => {
        // Under another client id, a snapshot does not stand for what was before it.
        const { snapshot: _, ...moved } = content;
        return { ...moved, continues: index === first ? continues : undefined };
      });
      const sealed = await this.seal(to, payloads.length, tag, contents);
      payloads.push(...sealed.payloads);
      counts.push(...contents.map(({ entries }) => entries.length));
      tag = sealed.tag;
    }
    if (first + payloads.length < own.length) {
      throw new StoreDamaged(`an operation of ${own.client} has malformed content`);
    }
    return { payloads, counts, tag };
  }

  /** The session that an operation continues, or begins. */
  async #sessionAt(client: string, place: Place): Promise<Session> {
    const { index } = place;
    const known = this.#last?.client === client ? this.#last.session : undefined;
    const session = known ?? (await this.#sessionBefore(client, index));
    // An append that has failed may have begun one behind this operation. Drafts may have begun one here,
    // which cannot begin again: its header is in them.
    const goesOn =
      session !== undefined &&
      (session.first < index || (session.first === index && session.header !== undefined));
    const isFull = goesOn && index - session.first > MAX_DISTANCE;
    if (!goesOn || isFull) return this.#begin(client, place);
    this.#last = { client, session };
    return session;
  }

  async #begin(client: string, place: Place): Promise<Session> {
    const session = await beginSession(this.#identity, place);
    this.#last = { client, session };
    return session;
  }
}
