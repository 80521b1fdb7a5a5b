/** Invites of a list of users in a file, and requests that use them. */
import { writeFileSync } from "node:fs";
import { newInvite } from "../../commands/users/invites.ts";
import { ListFile } from "../../commands/users/list-file.ts";
import type { GuestStorage } from "../../server/guests.ts";
import type { UserLimits } from "../../sync/user-limits.ts";
import { COMPONENTS, SERVER, type SigningUser, signedHeaders, syncBody } from "./signing.ts";

/** For a list whose users let nobody in. */
export const NO_GUESTS: GuestStorage = {
  has: async () => false,
  clear: async () => undefined,
  onLetIn: () => undefined,
  onFailure: () => undefined,
};

export const INVITE_COMPONENTS = [...COMPONENTS, "sync-invite"];

/** Adds an invite to a list, as `users invite` does, and returns its code. */
export function addInvite(
  path: string,
  { limits = {}, now = Date.now() }: { limits?: UserLimits; now?: number } = {},
): string {
  const { code, entry } = newInvite("1h", limits, "", now);
  const file = new ListFile(path);
  file.add(entry);
  file.save();
  return code;
}

/** Makes a list with nothing but an invite, and returns its code. */
export function listWithInvite(
  path: string,
  options: Parameters<typeof addInvite>[1] = {},
): string {
  writeFileSync(path, "");
  return addInvite(path, options);
}

/** The parts of a signed request with an invite. */
export async function invitedRequest(
  user: SigningUser,
  code: string,
  {
    url = SERVER,
    members = {},
    components = INVITE_COMPONENTS,
  }: {
    readonly url?: string;
    readonly members?: Readonly<Record<string, unknown>>;
    readonly components?: readonly string[];
  } = {},
): Promise<{ body: string; headers: Record<string, string> }> {
  const body = syncBody(user, members);
  const fields = { "sync-invite": code };
  return { body, headers: await signedHeaders(user, { url, body, fields }, { components }) };
}
