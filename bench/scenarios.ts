/** The rows that can be measured, in the order of the table. A new row is a line here. */
import type { Ground } from "./lib/context.ts";
import type { Result } from "./lib/result.ts";
import { append } from "./scenarios/append.ts";
import { bulkUpload } from "./scenarios/bulk-upload.ts";
import { firstSync, notCompacted } from "./scenarios/first-sync.ts";
import { growth } from "./scenarios/growth.ts";
import { manyUsers } from "./scenarios/many-users.ts";
import { poll } from "./scenarios/poll.ts";
import { onS3 } from "./scenarios/s3.ts";
import { signed } from "./scenarios/signed-poll.ts";

export const ROWS: Readonly<Record<string, (ground: Ground) => Promise<Result[]>>> = {
  poll,
  signed,
  append,
  "first-sync": firstSync,
  "not-compacted": notCompacted,
  growth,
  "many-users": manyUsers,
  "bulk-upload": bulkUpload,
  s3: onS3,
};
