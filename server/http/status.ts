/** The operator's page at `/status`, behind a token, which browsers send as a password. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { ServerRequest } from "srvx";
import { AddressLimiter } from "../../sync/address-limiter.ts";
import { STATUS_POLICY } from "../status/page.ts";
import type { Arrival } from "../status/warnings.ts";
import type { ClientAddresses } from "./client-address.ts";
import type { Fields, Reply } from "./response.ts";

export const STATUS_PATH = "/status";

export interface StatusOptions {
  /** `STATUS_TOKEN`. */
  readonly token: string;
  readonly addresses: ClientAddresses;
  /** Makes the page. */
  readonly page: (arrival: Arrival) => Promise<string>;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** Wrong tokens that a network address may send: ten in a row, then one every ten seconds. */
const WRONG_BURST = 10;
const WRONG_RATE = 0.1;

const HEADERS: Fields = {
  "Cache-Control": "no-store",
  "Content-Security-Policy": STATUS_POLICY,
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

export class StatusEndpoint {
  readonly #options: StatusOptions;
  readonly #digest: Buffer;
  readonly #wrong: AddressLimiter;

  constructor(options: StatusOptions) {
    this.#options = options;
    this.#digest = digestOf(options.token);
    this.#wrong = new AddressLimiter({ rate: WRONG_RATE, burst: WRONG_BURST, now: options.now });
  }

  async answer(request: ServerRequest): Promise<Reply> {
    const { addresses, page } = this.#options;
    const { headers, method } = request;
    const address = addresses.of(request);
    const token = passwordOf(headers.get("authorization"));
    // A browser asks without it first: that is no guess.
    if (token === undefined) return this.#unauthorized();
    const wait = this.#wrong.retryAfter(address);
    if (wait > 0) {
      const more = { "Retry-After": `${wait}` };
      return plain(
        429,
        `Too many wrong tokens from this network address: try again in ${wait} s.`,
        more,
      );
    }
    // Of digests, which have one length: the time that it takes says nothing about the token.
    if (!timingSafeEqual(digestOf(token), this.#digest)) {
      this.#wrong.charge(address, 1);
      return this.#unauthorized();
    }
    const html = await page({
      isForwarded: headers.has("x-forwarded-for") || headers.has("forwarded"),
      isTrusted: addresses.isTrusted(request),
    });
    return {
      status: 200,
      headers: { ...HEADERS, "Content-Type": "text/html; charset=utf-8" },
      body: method === "HEAD" ? null : html,
    };
  }

  #unauthorized(): Reply {
    return plain(401, "Give STATUS_TOKEN as the password, with any user name.", {
      "WWW-Authenticate": 'Basic realm="Sync-Server status", charset="UTF-8"',
    });
  }
}

/** RFC 7617: what follows the first colon. `undefined` where there is none. */
function passwordOf(authorization: string | null): string | undefined {
  const [, encoded] = /^basic ([A-Za-z0-9+/]+={0,2})$/i.exec(authorization ?? "") ?? [];
  if (encoded === undefined) return undefined;
  const pair = Buffer.from(encoded, "base64").toString();
  const colon = pair.indexOf(":");
  return colon === -1 ? undefined : pair.slice(colon + 1);
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function plain(status: number, text: string, headers: Fields): Reply {
  return {
    status,
    headers: { ...HEADERS, "Content-Type": "text/plain; charset=utf-8", ...headers },
    body: `${text}\n`,
  };
}
