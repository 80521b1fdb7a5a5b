/**
 * Run by a test, which kills or traces it: uses each of a number of invites for a user or, with a fourth
 * argument, random ones of them until it is killed. Prints each use that begins, and each invite's user.
 */
import { isFingerprint } from "../../oplog/names.ts";
import { InviteFolder } from "../../server/invite-folder.ts";
import { hashOfCode } from "../../sync/invites.ts";
import { Random } from "./simulation/random.ts";

const [list = "", user = "", count = "", seed] = process.argv.slice(2);
if (!isFingerprint(user)) throw new Error("the user is no fingerprint");
const folder = new InviteFolder(list);
const random = new Random(Number(seed ?? 0));
for (let step = 0; seed !== undefined || step < Number(count); step++) {
  const i = seed === undefined ? step : random.between(0, Number(count) - 1);
  console.log(`begins ${i}`);
  console.log(`has ${i} ${await folder.claim(hashOfCode(`${i}`), user)}`);
}
