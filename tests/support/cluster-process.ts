/** Joins the cluster at the address that it is given, announces a change, and prints what it hears. */
import { openCluster } from "../../cluster/open.ts";
import { PATIENT } from "./redis.ts";

const [address = ""] = process.argv.slice(2);
const cluster = await openCluster(address, {
  ttl: 30_000,
  ...PATIENT,
  joinWithin: 10_000,
  onChange: () => undefined,
});
const heard = new Promise<string>((resolve) => {
  cluster.onAnnouncement(({ change }) => resolve(change));
});
await cluster.announce("log", "over TLS");
console.log(await heard);
await cluster.close();
