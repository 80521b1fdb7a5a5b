/** The rows that can be measured, in the order of the table. A new row is a line here. */
import type { Ground } from "./ground.ts";
import type { Result } from "./result.ts";
import { append } from "./rows/append.ts";
import { bulkUpload } from "./rows/bulk-upload.ts";
import { firstSync, notCompacted } from "./rows/first-sync.ts";
import { growth } from "./rows/growth.ts";
import { manyUsers } from "./rows/many-users.ts";
import { poll } from "./rows/poll.ts";
import { onS3 } from "./rows/s3.ts";
import { signed } from "./rows/signed-poll.ts";

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
