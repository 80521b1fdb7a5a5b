import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import {
  checkName,
  type Driver,
  isDamaged,
  isName,
  md5Of,
  ObjectMissing,
  type PutOptions,
  partitionOf,
  type RequestCounts,
  StorageUnavailable,
  type StoredObject,
} from "./driver.ts";
import { type ClientSettings, openClient, withTimeout } from "./s3-client.ts";
import {
  checkObject,
  explainS3Error,
  NotS3,
  s3CodeOf,
  s3StatusOf,
  textOfS3Error,
} from "./s3-errors.ts";

/**
 * How long a request may take in all, its retries and the body of the response included. Without
 * this limit, a response that stops in the middle would hold up its callers permanently.
 */
const REQUEST_TIMEOUT_MS = 120_000;

/** How often a put is tried while something else is stored or deleted under its name. */
const PUT_ATTEMPTS = 5;

/** The partitions of users have longer names than most folders that else lie in a bucket. */
const LONG_PARTITION = 32;

/** Settings that differ from the defaults or the environment, for tests. */
export interface S3Options extends ClientSettings {
  /** How long a request may take in all, in milliseconds. */
  readonly timeout?: number;
}

/** The commands of the SDK, as the metrics count them. */
const KINDS: Readonly<Record<string, keyof RequestCounts>> = {
  ListObjectsV2Command: "list",
  GetObjectCommand: "get",
  PutObjectCommand: "put",
  DeleteObjectCommand: "delete",
};

/**
 * Keeps each object under the key `prefix/name` in a bucket of AWS or of a compatible service: it
 * needs no newer checksums, no batch deletes, and no conditional writes, but uses these where the
 * service has them.
 *
 * The AWS SDK takes credentials, region, endpoint and retries from its own environment variables
 * and profile: AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL, AWS_PROFILE, AWS_MAX_ATTEMPTS …
 */
export class S3Driver implements Driver {
  /** Every page of a list and every attempt counts, because each is billed. */
  readonly requests: RequestCounts = { list: 0, get: 0, put: 0, delete: 0 };
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #timeout: number;
  /** False once the service has answered that it has no conditional writes. */
  #conditional = true;

  private constructor(client: S3Client, bucket: string, prefix: string, timeout: number) {
    this.#client = client;
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#timeout = timeout;
    client.middlewareStack.add(
      (next, { commandName }) =>
        (args) => {
          const kind = KINDS[commandName ?? ""];
          if (kind !== undefined) this.requests[kind]++;
          return next(args);
        },
      // After the retries in the stack, so that every attempt passes it.
      { step: "finalizeRequest", priority: "low" },
    );
  }

  /** Opens `s3://bucket` or `s3://bucket/prefix`. Throws `StorageUnavailable` when it does not answer. */
  static async open(
    location: string,
    { timeout = REQUEST_TIMEOUT_MS, ...config }: S3Options = {},
  ): Promise<S3Driver> {
    const [, bucket, path = ""] =
      /^s3:\/\/([a-z0-9][a-z0-9._-]*)(?:\/(.*))?$/i.exec(location) ?? [];
    if (bucket === undefined) {
      throw new StorageUnavailable("STORAGE must be s3://bucket or s3://bucket/prefix");
    }
    const prefix = withoutSlashes(path);
    const client = await openClient(config);
    const driver = new S3Driver(client, bucket, prefix === "" ? "" : `${prefix}/`, timeout);
    await driver.#checkLayout();
    return driver;
  }

  /**
   * Throws where a storage folder was copied into the bucket as it lies: the objects would not be
   * found under `prefix/folder/name`, and the log would seem to be empty.
   */
  async #checkLayout(): Promise<void> {
    const { CommonPrefixes = [] } = await this.#list("", { Delimiter: "/" });
    const folder = CommonPrefixes.map(
      ({ Prefix }) => this.#nameOf(Prefix)?.slice(0, -1) ?? "",
    ).find((name) => name.length >= LONG_PARTITION && isName(name) && partitionOf(name) === name);
    if (folder === undefined) return;
    const { Contents = [] } = await this.#list(`${folder}/${folder}.`, { MaxKeys: 1 });
    if (Contents.length === 0) return;
    throw new StorageUnavailable(
      `the bucket ${this.#bucket} has a storage folder as it lies: the key of an object is ` +
        `${this.#prefix}NAME, without a folder. Remove what was copied, and copy what is in each ` +
        `folder: for d in DATA/*/; do aws s3 cp --recursive "$d" s3://${this.#bucket}/${this.#prefix}; done`,
    );
  }

  /** The SDK compares the `Date` of each answer, to sign by the clock of the service. */
  clockOffset(): number {
    return this.#client.config.systemClockOffset;
  }

  async list(prefix: string, withTimes = false): Promise<StoredObject[]> {
    if (prefix !== "") checkName(prefix);
    const found: StoredObject[] = [];
    let token: string | undefined;
    do {
      const page = await this.#list(
        prefix,
        token === undefined ? {} : { ContinuationToken: token },
      );
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        const name = this.#nameOf(Key);
        const last = found.at(-1)?.name;
        if (name === undefined || Size === undefined || (last !== undefined && name <= last)) {
          throw this.#unavailable("list", new Error("a page of the list is out of order"));
        }
        const object = { name, size: Size };
        found.push(withTimes ? { ...object, storedAt: LastModified?.getTime() } : object);
      }
      const next = page.NextContinuationToken;
      if (page.IsTruncated === true && (next === undefined || next === token)) {
        throw this.#unavailable("list", new Error("a page of the list does not lead to the next"));
      }
      token = page.IsTruncated === true ? next : undefined;
    } while (token !== undefined);
    return found;
  }

  async get(name: string, size?: number): Promise<Uint8Array> {
    checkName(name);
    try {
      return await withTimeout(this.#timeout, async (abortSignal) => {
        const command = new GetObjectCommand(this.#at(name));
        const { Body, ETag } = await this.#client.send(command, { abortSignal });
        if (Body === undefined) throw new Error("the response has no body");
        // Read to its end: a body that is not read keeps its connection.
        const body = await Body.transformToByteArray();
        checkObject(body, ETag, size);
        return body;
      });
    } catch (error) {
      if (s3CodeOf(error) === "NoSuchKey") throw new ObjectMissing(name, { cause: error });
      throw this.#unavailable("get", error);
    }
  }

  /**
   * Keeps what is stored, unless it is damaged. A service without conditional writes has every put
   * replace it; with an MD5, it refuses a body of another MD5.
   */
  async put(name: string, body: Uint8Array, { md5 }: PutOptions = {}): Promise<void> {
    checkName(name);
    for (let attempt = 1; ; attempt++) {
      const refusal = await this.#create(name, body, md5);
      if (refusal === undefined) return;
      const isTaken = s3StatusOf(refusal.cause) === 412;
      if (isTaken && md5 === undefined) return;
      const stored = await this.get(name).catch((error: unknown) => {
        if (error instanceof ObjectMissing) return undefined;
        throw error;
      });
      if (stored !== undefined && (md5 === undefined || !isDamaged(stored, body, md5))) return;
      if (stored === undefined && !isTaken) {
        if (attempt === PUT_ATTEMPTS) throw refusal;
        continue;
      }
      // Deleted meanwhile: without the condition, which a service may go on to find unmet.
      return this.#write(name, body, md5);
    }
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    const command = new DeleteObjectCommand(this.#at(name));
    await this.#send("delete", (abortSignal) => this.#client.send(command, { abortSignal }));
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  /**
   * Stores a body. Returns the error where its name is taken (412), or something else is stored or
   * deleted under it at the same time (409), if the service can tell.
   */
  async #create(
    name: string,
    body: Uint8Array,
    md5: string | undefined,
  ): Promise<StorageUnavailable | undefined> {
    const conditional = this.#conditional;
    try {
      await this.#write(name, body, md5, conditional ? { IfNoneMatch: "*" } : {});
      return undefined;
    } catch (error) {
      if (!conditional || !(error instanceof StorageUnavailable)) throw error;
      const status = s3StatusOf(error.cause);
      if (status === 409 || status === 412) return error;
      if (status !== 501) throw error;
      this.#conditional = false;
      return this.#create(name, body, md5);
    }
  }

  async #write(
    name: string,
    body: Uint8Array,
    md5 = md5Of(body),
    condition: { IfNoneMatch?: "*" } = {},
  ): Promise<void> {
    const ContentMD5 = Buffer.from(md5, "hex").toString("base64");
    const at = this.#at(name);
    const command = new PutObjectCommand({ ...at, Body: body, ContentMD5, ...condition });
    const { ETag } = await this.#send("put", (abortSignal) =>
      this.#client.send(command, { abortSignal }),
    );
    // A 200 from a proxy or a maintenance page stores nothing.
    if (ETag !== undefined) return;
    throw this.#unavailable("put", new NotS3("the response to a put has no ETag"));
  }

  #at(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + name };
  }

  /** The name of a listed key; `undefined` for a key outside the prefix. */
  #nameOf(key: string | undefined): string | undefined {
    return key?.startsWith(this.#prefix) ? key.slice(this.#prefix.length) : undefined;
  }

  async #list(
    prefix: string,
    page: { MaxKeys?: number; ContinuationToken?: string; Delimiter?: string },
  ): Promise<ListObjectsV2CommandOutput> {
    const request = { Bucket: this.#bucket, Prefix: this.#prefix + prefix, ...page };
    const command = new ListObjectsV2Command(request);
    const response = await this.#send("list", (abortSignal) =>
      this.#client.send(command, { abortSignal }),
    );
    const { IsTruncated, Name, KeyCount, Contents = [], CommonPrefixes = [] } = response;
    // A 200 from a proxy has none of these, and would look like an empty list.
    const whole = KeyCount === undefined || KeyCount === Contents.length + CommonPrefixes.length;
    if (typeof IsTruncated !== "boolean" || Name !== this.#bucket || !whole) {
      throw this.#unavailable("list", new NotS3("the response is not a list of this bucket"));
    }
    return response;
  }

  async #send<Output>(
    what: string,
    request: (abortSignal: AbortSignal) => Promise<Output>,
  ): Promise<Output> {
    try {
      return await withTimeout(this.#timeout, request);
    } catch (error) {
      throw this.#unavailable(what, error);
    }
  }

  #unavailable(what: string, error: unknown): StorageUnavailable {
    const { reason, advice } = explainS3Error(error);
    return new StorageUnavailable(
      `could not ${what} in the bucket ${this.#bucket}: ${reason} (${textOfS3Error(error)}). ${advice}`,
      { cause: error, reason },
    );
  }
}

/** A path without the slashes at its end. */
function withoutSlashes(path: string): string {
  let end = path.length;
  while (path[end - 1] === "/") end--;
  return path.slice(0, end);
}
