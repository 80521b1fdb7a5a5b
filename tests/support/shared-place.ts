/** A store in memory that several clients share, as the tabs of a browser do; a client can crash. */

import { MemoryStore } from "../../client/memory.ts";
import { FollowingTab } from "../../client/stores/following.ts";
import type { Move, Place, SharedStore, Store, StoreState } from "../../client/stores/store.ts";
import type { News, Request, Tab, Tabs } from "../../client/stores/tabs.ts";
import type { Cursor } from "../../client/types.ts";
import type { Line } from "../../protocol/types.ts";
import { nextTick } from "./simulated-network.ts";

/** A lock that is granted in the order in which it is asked for. */
class Lock {
  holder: TabStore | undefined;
  readonly #waiting: { readonly tab: TabStore; readonly grant: () => void }[] = [];

  async take(tab: TabStore): Promise<void> {
    // One that has crashed would never release it.
    if (tab.isGone) await new Promise(() => undefined);
    if (this.holder === undefined) this.holder = tab;
    else await new Promise<void>((grant) => this.#waiting.push({ tab, grant }));
  }

  release(tab: TabStore): void {
    if (this.holder !== tab) return;
    let next = this.#waiting.shift();
    while (next?.tab.isGone) next = this.#waiting.shift();
    this.holder = next?.tab;
    next?.grant();
  }
}

/** What tabs share. */
export class SharedPlace {
  readonly memory = new MemoryStore();
  readonly writes = new Lock();
  readonly leading = new Lock();
  readonly tabs = new Set<TabStore>();
  /** What was delivered in each slot. */
  readonly slots: { places: Map<string, Place>; cursors: Map<string, Cursor> }[] = [];
  changes = 0;
  /** Called where a tab reads the snapshot. */
  onReadSnapshot = (read: () => Promise<string | undefined>) => read();

  readonly random: () => number;

  /** @param random from 0 up to 1: how long each access takes */
  constructor(random: () => number) {
    this.random = random;
  }

  /** Opens it as a tab with a slot. */
  open(slot: number): TabStore {
    const tab = new TabStore(this, slot);
    this.tabs.add(tab);
    return tab;
  }
}

/** What one tab has of a place. */
export class TabStore implements Store {
  readonly #place: SharedPlace;
  readonly #slot: number;
  readonly shared: SharedStore;
  #changes: number | undefined;
  #hasChanged = false;
  members: MemberTabs | undefined;
  /** Closed or crashed: nothing that it does has an effect. */
  isGone = false;

  constructor(place: SharedPlace, slot: number) {
    this.#place = place;
    this.#slot = slot;
    this.shared = {
      isChanged: async () => {
        await this.#access();
        return place.changes !== this.#changes;
      },
      reload: async () => {
        const state = await this.load();
        this.#changes = place.changes;
        return state;
      },
      exclusive: async (task) => {
        await place.writes.take(this);
        try {
          return await task();
        } finally {
          place.writes.release(this);
          if (this.#hasChanged) this.members?.say((tab) => tab.onChange());
          this.#hasChanged = false;
        }
      },
      recordDelivered: async (cursors) => {
        await this.#access();
        for (const cursor of cursors) this.#setDelivered(cursor);
      },
      restartDelivered: async (cursors) => {
        await this.#access();
        this.#delivered.cursors.clear();
        for (const cursor of cursors) this.#setDelivered(cursor);
      },
      join: (tab, app) => {
        return new FollowingTab(
          tab,
          (refusal) => app.onRefusal?.(refusal),
          (onNews) => {
            this.members = new MemberTabs(place, this, tab, onNews);
            this.members.greet();
            return this.members;
          },
        );
      },
    };
  }

  get #delivered() {
    const { slots } = this.#place;
    const known = slots[this.#slot] ?? { places: new Map(), cursors: new Map() };
    slots[this.#slot] = known;
    return known;
  }

  async load(): Promise<StoreState> {
    await this.#access();
    const { places, cursors } = this.#delivered;
    const state = await this.#place.memory.load();
    const own = state.own.map(({ delivered: _, ...one }) => {
      const delivered = places.get(one.client);
      return { ...one, ...(delivered && { delivered }) };
    });
    return { ...state, own, delivered: [...cursors.values()] };
  }

  begin(client: string): Promise<void> {
    return this.#write((store) => store.begin(client));
  }

  append(client: string, first: number, payloads: readonly string[]): Promise<void> {
    return this.#write((store) => store.append(client, first, payloads));
  }

  appendDraft(client: string, index: number, payload: string): Promise<void> {
    return this.#write((store) => store.appendDraft(client, index, payload));
  }

  async read(client: string, first: number, count: number, characters: number): Promise<string[]> {
    await this.#access();
    return this.#place.memory.read(client, first, count, characters);
  }

  acknowledge(client: string, acknowledged: number, delivered?: Place): Promise<void> {
    return this.#write(async (store) => {
      if (delivered !== undefined) this.#delivered.places.set(client, delivered);
      await store.acknowledge(client, acknowledged);
    });
  }

  receive(cursor: Cursor, payloads: readonly string[]): Promise<void> {
    return this.#write(async (store) => {
      await store.receive(cursor, payloads);
      if (payloads.length > 0) this.#setDelivered(cursor);
    });
  }

  async readReceived(client: string, first: number, characters: number) {
    await this.#access();
    return this.#place.memory.readReceived(client, first, characters);
  }

  forget(client: string, start: Cursor | undefined): Promise<void> {
    return this.#write((store) => store.forget(client, start));
  }

  keepSnapshot(snapshot: Line | undefined, isLoaded: boolean): Promise<void> {
    return this.#write((store) => store.keepSnapshot(snapshot, isLoaded));
  }

  snapshotLoaded(): Promise<void> {
    return this.#write((store) => store.snapshotLoaded());
  }

  async readSnapshot(): Promise<string | undefined> {
    await this.#access();
    return this.#place.onReadSnapshot(() => this.#place.memory.readSnapshot());
  }

  move(move: Move): Promise<void> {
    return this.#write((store) => store.move(move));
  }

  cut(client: string, length: number): Promise<void> {
    return this.#write((store) => store.cut(client, length));
  }

  async abandoned(): Promise<Store[]> {
    return [];
  }

  async close(): Promise<void> {
    this.crash();
  }

  /** Ends the tab at once: what it does later never returns. */
  crash(): void {
    if (this.isGone) return;
    this.isGone = true;
    this.#place.tabs.delete(this);
    this.#place.writes.release(this);
    this.#place.leading.release(this);
  }

  #setDelivered(cursor: Cursor): void {
    const { cursors } = this.#delivered;
    const known = cursors.get(cursor.client);
    if ((known?.index ?? -1) < cursor.index) cursors.set(cursor.client, cursor);
  }

  async #write(work: (store: MemoryStore) => Promise<void>): Promise<void> {
    await this.#access();
    if (this.#place.writes.holder !== this) throw new Error("a write without the lock");
    if (this.#place.changes !== (this.#changes ?? this.#place.changes)) {
      throw new Error("a write on a state that is not the last");
    }
    await work(this.#place.memory);
    this.#changes = ++this.#place.changes;
    this.#hasChanged = true;
    await this.#access();
  }

  /** Takes a while; never ends in a tab that has crashed. */
  async #access(): Promise<void> {
    for (let turns = Math.floor(this.#place.random() * 3); turns > 0; turns--) await nextTick();
    if (this.isGone) await new Promise(() => undefined);
  }
}

/** The tabs of a place. */
export class MemberTabs implements Tabs {
  readonly #place: SharedPlace;
  readonly #store: TabStore;
  readonly #tab: Tab;
  readonly #onNews: (news: News) => void;
  #isWaiting = false;
  /** What it has shown as the leading one. */
  news: News | undefined;
  readonly #asked = new Map<object, () => void>();

  constructor(place: SharedPlace, store: TabStore, tab: Tab, onNews: (news: News) => void) {
    this.#onNews = onNews;
    this.#place = place;
    this.#store = store;
    this.#tab = tab;
  }

  get leads(): boolean {
    return this.#place.leading.holder === this.#store;
  }

  want(): void {
    if (this.#isWaiting || this.leads || this.#store.isGone) return;
    this.#isWaiting = true;
    void this.#place.leading.take(this.#store).then(() => {
      this.#isWaiting = false;
      if (!this.leads) return;
      for (const other of this.#others()) other.again();
      this.again();
      this.#tab.onWake();
    });
  }

  rest(): void {
    // All are shown.
  }

  /** Asks the leading tab what it shows. */
  greet(): void {
    setImmediate(() => {
      const news = this.#place.leading.holder?.members?.news;
      if (news !== undefined) this.#hear((_, onNews) => onNews(news));
    });
  }

  tell(news: News): void {
    if (!this.leads || JSON.stringify(news) === JSON.stringify(this.news)) return;
    this.news = news;
    this.say((_, onNews) => onNews(news));
  }

  ask(request: Request): Promise<void> {
    return new Promise((resolve, reject) => {
      const key = {};
      const ask = () => {
        const leader = this.#place.leading.holder?.members;
        leader?.answer(request).then(
          () => {
            if (this.#asked.delete(key)) resolve();
          },
          (error) => {
            if (this.#asked.delete(key)) reject(error);
          },
        );
      };
      this.#asked.set(key, ask);
      ask();
    });
  }

  /** Another tab leads: asks again. */
  again(): void {
    for (const ask of [...this.#asked.values()]) ask();
  }

  async answer(request: Request): Promise<void> {
    await nextTick();
    try {
      await this.#tab.answer(request);
    } finally {
      if (this.#store.isGone) await new Promise(() => undefined);
      // What it has shown before arrives first.
      await nextTick();
    }
  }

  say(what: (tab: Tab, onNews: (news: News) => void) => void): void {
    for (const other of this.#others()) other.#hear(what);
  }

  #hear(what: (tab: Tab, onNews: (news: News) => void) => void): void {
    setImmediate(() => {
      if (!this.#store.isGone) what(this.#tab, this.#onNews);
    });
  }

  #others(): MemberTabs[] {
    const others = [...this.#place.tabs].filter((tab) => tab !== this.#store);
    return others.flatMap(({ members }) => members ?? []);
  }
}
