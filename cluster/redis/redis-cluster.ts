import { randomBytes } from "node:crypto";
import {
  type Announcement,
  CLAIM_LASTS_MS,
  type Claim,
  type Claimed,
  type Cluster,
  type Step,
  type Taken,
  type Taking,
  type Version,
} from "../cluster.ts";
import { EXPECTED_FOR_MS, Members } from "../members.ts";
import { WakingClock } from "../waking-clock.ts";
import { Batches } from "./batches.ts";
import { Connection } from "./connection.ts";
import { ANNOUNCE, CLAIM, FORGET, MEMBERS, RELEASE, TAKE, VERSIONS } from "./scripts.ts";
import { limit, outcomeOf, sightings } from "./values.ts";

export interface RedisClusterOptions {
  readonly url: string;
  /** Before the names of all keys: what other servers on another storage do not use. */
  readonly prefix: string;
  /** `LISTING_TTL` in milliseconds. */
  readonly ttl: number;
  /** How long a reply may take, in milliseconds. */
  readonly replyWithin: number;
  /** Called when this server begins to take part in the cluster, and no longer does. */
  readonly onChange: (isJoined: boolean, reason: string) => void;
}

/** How long Redis keeps the version of a log that nothing happens to, in seconds. */
const VERSION_KEPT_S = 86_400;

/** How long it keeps one that was made because somebody has asked: of a log that may not exist. */
const ASKED_KEPT_S = 3600;

/** Logs remembered of which others were not informed; of more, all logs count as changed. */
const REMEMBERED = 1000;

const BATCH = 100;

/** A cluster by way of Redis, or of anything that speaks its protocol (RESP3), such as Valkey. */
export class RedisCluster implements Cluster {
  readonly #options: RedisClusterOptions;
  readonly #id = randomBytes(12).toString("base64url");
  readonly #connection: Connection;
  readonly #members: Members;
  readonly #now: () => number;
  readonly #listeners: ((announcement: Announcement) => void)[] = [];
  readonly #versions = new Batches<string, Version>((logs) => this.#askVersions(logs), BATCH);
  readonly #takings = new Batches<Taking, Taken>((takings) => this.#takeAll(takings), BATCH);
  /** Logs that changed while the cluster could not be reached. */
  readonly #unannounced = new Set<string>();
  #hasForgottenLogs = false;
  #made = 0;
  #isClosing = false;
  /** The connection by which this server takes part. */
  #joinedBy: number | undefined;
  #sign: ReturnType<typeof setTimeout> | undefined;
  #joined: () => void = () => undefined;

  constructor(options: RedisClusterOptions) {
    this.#options = options;
    const clock = new WakingClock();
    this.#now = () => clock.now();
    this.#members = new Members({ id: this.#id, ttl: options.ttl, now: this.#now });
    const { url, replyWithin } = options;
    this.#connection = new Connection({
      url,
      replyWithin,
      channel: this.#key("news"),
      onMessage: (message) => this.#receive(message),
      onConnect: (serial) => this.#join(serial),
      onLost: (reason) => {
        clearTimeout(this.#sign);
        options.onChange(false, reason);
      },
    });
  }

  /** Connects. Resolves once this server takes part; it goes on trying meanwhile. */
  open(): Promise<void> {
    const joined = new Promise<void>((resolve) => {
      this.#joined = resolve;
    });
    void this.#connection.connect();
    return joined;
  }

  get isReliable(): boolean {
    return this.isJoined && this.#members.isComplete;
  }

  get isForgotten(): boolean {
    return this.#members.isForgotten;
  }

  get missing(): number {
    return this.#members.missing;
  }

  get isJoined(): boolean {
    return this.#joinedBy === this.#connection.serial;
  }

  async version(log: string): Promise<Version | undefined> {
    return this.isJoined ? this.#versions.add(log) : undefined;
  }

  follows(version: Version): boolean {
    return this.isJoined && version.startsWith(`${this.#connection.serial} `);
  }

  async announce(log: string, change: string, claim = ""): Promise<Step | undefined> {
    const step = this.isJoined ? await this.#announce(log, change, claim) : undefined;
    if (step === undefined) this.#remember(log);
    return step;
  }

  onAnnouncement(listener: (announcement: Announcement) => void): void {
    this.#listeners.push(listener);
  }

  async take(taking: Taking): Promise<Taken | undefined> {
    return this.isJoined ? this.#takings.add(taking) : undefined;
  }

  async claim(claim: Claim): Promise<Claimed | undefined> {
    if (!this.follows(claim.version)) return undefined;
    const [, epoch = "", version = ""] = claim.version.split(" ");
    const { log, room } = claim;
    const reply = await this.#connection.run(
      CLAIM,
      [this.#key("epoch"), this.#key("v", log), this.#key("c", log)],
      [
        epoch,
        version,
        claim.id,
        claim.client,
        claim.isNewClient ? "1" : "0",
        String(claim.objects),
        String(claim.bytes),
        limit(room.bytes),
        limit(room.clients),
        limit(room.size),
        String(room.runsPerClient),
        String(CLAIM_LASTS_MS),
      ],
    );
    if (reply === undefined) return undefined;
    const [outcome = "", ...counts] = reply;
    const [bytes = 0, clients = 0, objects = 0] = counts.map(Number);
    return { outcome: outcomeOf(outcome), bytes, clients, objects };
  }

  release(log: string, claim: string): void {
    // A claim that is not ended ends by itself.
    void this.#connection.run(RELEASE, [this.#key("c", log)], [claim]);
  }

  async close(hasStopped = true): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#sign);
    const { serial } = this.#connection;
    // A server that has something to make up for is expected still.
    if (hasStopped && this.isJoined && (await this.#makeUp(serial)))
      await this.#giveSign("left", serial);
    this.#connection.close();
  }

  /** Makes up for what was missed, and takes part from then on. */
  async #join(serial: number): Promise<boolean> {
    if (!(await this.#makeUp(serial))) return false;
    this.#joinedBy = serial;
    // From here on others rely on the versions again, and what is announced no longer needs making up for.
    if (!(await this.#makeUp(serial))) return false;
    if (this.#isClosing) return true;
    if (!(await this.#giveSign("alive", serial))) return false;
    this.#signLater(serial);
    this.#options.onChange(true, "");
    this.#joined();
    return true;
  }

  /** Announces what was not announced, also what is added meanwhile. */
  async #makeUp(serial: number): Promise<boolean> {
    while (this.#hasForgottenLogs || this.#unannounced.size > 0) {
      // A change that is added while this one is on its way needs another announcement.
      if (this.#hasForgottenLogs) {
        this.#hasForgottenLogs = false;
        const values = [this.#token(), this.#key("news")];
        const reply = await this.#connection.run(FORGET, [this.#key("epoch")], values, serial);
        this.#hasForgottenLogs ||= reply === undefined;
        if (reply === undefined) return false;
      }
      for (const log of this.#unannounced) {
        this.#unannounced.delete(log);
        if ((await this.#announce(log, "", "", serial)) === undefined) {
          this.#remember(log);
          return false;
        }
      }
    }
    return true;
  }

  #remember(log: string): void {
    if (this.#unannounced.size < REMEMBERED) this.#unannounced.add(log);
    else this.#hasForgottenLogs = true;
  }

  async #giveSign(state: "alive" | "left", serial: number): Promise<boolean> {
    const at = this.#now();
    const others = this.#members.others.flatMap(({ id, age }) => [id, age.toFixed(0)]);
    const values = [this.#id, state, String(EXPECTED_FOR_MS), ...others];
    const reply = await this.#connection.run(MEMBERS, [this.#key("servers")], values, serial);
    if (reply === undefined) return false;
    this.#members.looked(at, [...sightings(reply)]);
    return true;
  }

  #signLater(serial: number): void {
    this.#sign = setTimeout(async () => {
      if (!(await this.#makeUp(serial)) || this.#isClosing) return;
      if (await this.#giveSign("alive", serial)) this.#signLater(serial);
    }, this.#members.period);
    this.#sign.unref();
  }

  async #announce(
    log: string,
    change: string,
    claim: string,
    serial = this.#connection.serial,
  ): Promise<Step | undefined> {
    const token = this.#token();
    const keys = [this.#key("epoch"), this.#key("v", log), this.#key("c", log)];
    const values = [token, String(VERSION_KEPT_S), this.#key("news"), log, change, claim];
    const reply = await this.#connection.run(ANNOUNCE, keys, values, serial);
    if (reply === undefined) return undefined;
    const [epoch = "", before = ""] = reply;
    return { before: `${serial} ${epoch} ${before}`, after: `${serial} ${epoch} ${token}` };
  }

  #receive(message: string): void {
    if (!message.includes(" ")) {
      // FORGET: no version of before may be relied on, but one's own are gone already.
      const isOwn = message.startsWith(`${this.#id}.`);
      if (!isOwn) this.#connection.renew("another server has changed more logs than it can name");
      return;
    }
    const [epoch = "", before = "", after = "", log = "", ...change] = message.split(" ");
    const place = `${this.#connection.serial} ${epoch}`;
    const announcement = {
      log,
      before: `${place} ${before}`,
      after: `${place} ${after}`,
      change: change.join(" "),
    };
    for (const listener of this.#listeners) listener(announcement);
  }

  async #askVersions(logs: readonly string[]): Promise<readonly Version[] | undefined> {
    const { serial } = this.#connection;
    const keys = [this.#key("epoch"), ...logs.map((log) => this.#key("v", log))];
    const reply = await this.#connection.run(VERSIONS, keys, [this.#token(), String(ASKED_KEPT_S)]);
    if (reply === undefined) return undefined;
    const [epoch = "", ...tokens] = reply;
    return tokens.map((token) => `${serial} ${epoch} ${token}`);
  }

  async #takeAll(takings: readonly Taking[]): Promise<readonly Taken[] | undefined> {
    const keys = takings.flatMap(({ buckets }) => buckets.map(({ name }) => this.#key("b", name)));
    const values = takings.flatMap(({ buckets, tokens, onlyIfLeft }) => [
      String(buckets.length),
      String(tokens),
      onlyIfLeft ? "1" : "0",
      ...buckets.flatMap(({ rate, burst }) => [String(rate), String(burst)]),
    ]);
    const reply = await this.#connection.run(TAKE, keys, values);
    if (reply === undefined) return undefined;
    let next = 0;
    return takings.map(({ buckets }) => {
      const taken = reply[next] === "1";
      const tokens = reply.slice(next + 1, next + 1 + buckets.length).map(Number);
      next += 1 + buckets.length;
      return { taken, tokens };
    });
  }

  /** A text that is never made again. */
  #token(): string {
    return `${this.#id}.${(++this.#made).toString(36)}`;
  }

  #key(...parts: readonly string[]): string {
    return [this.#options.prefix, ...parts].join(":");
  }
}
