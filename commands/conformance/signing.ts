/** Signs requests as PROTOCOL.md says, and otherwise: nothing of the server's own code is used. */
import { createHash } from "node:crypto";

/** A user who signs. */
export interface Signer {
  readonly fingerprint: string;
  readonly sign: (data: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;
}

/** What of a signature is not as a client would make it. `null` leaves a parameter out. */
export interface Deviations {
  readonly method?: string;
  readonly authority?: string;
  readonly path?: string;
  readonly contentType?: string;
  readonly contentDigest?: string;
  readonly components?: readonly string[];
  /** Seconds of Unix time. */
  readonly created?: number | string | null;
  readonly expires?: number;
  readonly keyid?: string | null;
  readonly alg?: string | null;
  /** What follows the other parameters. */
  readonly more?: string;
}

export const COMPONENTS = ["@method", "@authority", "@path", "content-type", "content-digest"];

/** The headers of a signed request; they say what a client says, whatever was signed. */
export async function signedHeaders(
  user: Signer,
  request: {
    readonly url: string;
    readonly method?: string;
    readonly body: string | Uint8Array;
    /** Further fields, by their names in lower case. They are covered where `components` names them. */
    readonly fields?: Readonly<Record<string, string>>;
  },
  deviations: Deviations = {},
): Promise<Record<string, string>> {
  const { host, pathname } = new URL(request.url);
  const headers = {
    "Content-Type": "application/json",
    "Content-Digest": digestOf(request.body),
    ...request.fields,
  };
  const values: Record<string, string> = {
    ...request.fields,
    "@method": deviations.method ?? request.method ?? "POST",
    "@authority": deviations.authority ?? host,
    "@path": deviations.path ?? pathname,
    "content-type": deviations.contentType ?? headers["Content-Type"],
    "content-digest": deviations.contentDigest ?? headers["Content-Digest"],
  };
  const { created = Math.floor(Date.now() / 1000), expires } = deviations;
  const { keyid = user.fingerprint, alg = "rsa-pss-sha512" } = deviations;
  const components = deviations.components ?? COMPONENTS;
  const params = [
    `(${components.map((name) => `"${name}"`).join(" ")})`,
    ...(created === null ? [] : [`created=${created}`]),
    ...(expires === undefined ? [] : [`expires=${expires}`]),
    ...(keyid === null ? [] : [`keyid="${keyid}"`]),
    ...(alg === null ? [] : [`alg="${alg}"`]),
    ...(deviations.more === undefined ? [] : [deviations.more]),
  ].join(";");
  const base = [
    ...components.map((name) => `"${name}": ${values[name] ?? ""}`),
    `"@signature-params": ${params}`,
  ].join("\n");
  const signature = await user.sign(Uint8Array.from(Buffer.from(base)));
  return {
    ...headers,
    "Signature-Input": `sig=${params}`,
    Signature: `sig=:${Buffer.from(signature).toString("base64")}:`,
  };
}

export function digestOf(body: string | Uint8Array, algorithm = "sha-256"): string {
  const digest = createHash(algorithm.replace("-", "")).update(body).digest("base64");
  return `${algorithm}=:${digest}:`;
}
