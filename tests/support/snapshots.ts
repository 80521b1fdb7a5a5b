/** Snapshots over HTTP: signed requests, and the lines of answers. */
import { type Answer, type Operation, sync } from "./http.ts";
import { type SigningUser, signedHeaders } from "./signing.ts";

/** A line of an answer; with `snapshot` where it stands for others. */
export interface Line extends Operation {
  readonly snapshot?: { readonly covers: Readonly<Record<string, number>> };
}

/** Sends a signed sync request. */
export async function signedSync(
  url: string,
  user: SigningUser,
  members: Readonly<Record<string, unknown>>,
): Promise<Answer> {
  const body = JSON.stringify({ ...members, user: user.base64 });
  return sync(url, body, await signedHeaders(user, { url: new URL("/sync", url).href, body }));
}
