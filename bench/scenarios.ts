/** The scenarios by name, in the order of the table. A new scenario is a line here. */
import type { Scenario } from "./lib/scenario.ts";
import { append } from "./scenarios/append.ts";
import { bulkUpload } from "./scenarios/bulk-upload.ts";
import { cluster } from "./scenarios/cluster.ts";
import { firstSync, notCompacted } from "./scenarios/first-sync.ts";
import { growth } from "./scenarios/growth.ts";
import { largeUser } from "./scenarios/large-user.ts";
import { manyUsers } from "./scenarios/many-users.ts";
import { memory } from "./scenarios/memory.ts";
import { poll } from "./scenarios/poll.ts";
import { s3 } from "./scenarios/s3.ts";
import { signedPoll } from "./scenarios/signed-poll.ts";
import { start } from "./scenarios/start.ts";
import { waiting } from "./scenarios/waiting.ts";
import { young } from "./scenarios/young.ts";

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  poll,
  signed: signedPoll,
  append,
  young,
  memory,
  "first-sync": firstSync,
  "not-compacted": notCompacted,
  growth,
  "many-users": manyUsers,
  "large-user": largeUser,
  "bulk-upload": bulkUpload,
  waiting,
  cluster,
  start,
  s3,
};
