/** The protocol suite, in the order of PROTOCOL.md. */
import type { Case } from "../case.ts";
import { APPEND } from "./append.ts";
import { ERASURE } from "./erasure.ts";
import { INVITES } from "./invites.ts";
import { LIMITS } from "./limits.ts";
import { PAGES } from "./pages.ts";
import { PROBLEMS } from "./problems.ts";
import { READ } from "./read.ts";
import { REQUEST } from "./request.ts";
import { RESPONSE } from "./response.ts";
import { SIGNATURES } from "./signatures.ts";
import { SNAPSHOTS } from "./snapshots.ts";
import { TRANSPORT } from "./transport.ts";
import { USER_KEY } from "./user-key.ts";
import { WAITING } from "./waiting.ts";

/** All cases, by the numbers of their rules. */
export const CASES: readonly Case[] = [
  ...TRANSPORT,
  ...USER_KEY,
  ...REQUEST,
  ...APPEND,
  ...READ,
  ...WAITING,
  ...RESPONSE,
  ...SNAPSHOTS,
  ...PROBLEMS,
  ...LIMITS,
  ...INVITES,
  ...PAGES,
  ...SIGNATURES,
  ...ERASURE,
].toSorted((one, other) => numberOf(one) - numberOf(other));

function numberOf({ rule }: Case): number {
  const [section = 0, number = 0] = rule.slice(2).split(".").map(Number);
  return section * 1000 + number;
}
