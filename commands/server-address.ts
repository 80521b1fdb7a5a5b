/** The address of a server, as a command takes it. */
import { SYNC_PATH } from "../protocol/limits.ts";
import { WrongArgument } from "./command.ts";

/** Whether an argument is meant as an address, and not as a storage. */
export function isServerAddress(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

/** Where the sync requests to a server go. Throws `WrongArgument` for what is no address of one. */
export function syncUrlOf(address: string): URL {
  if (!isServerAddress(address) || !URL.canParse(address)) {
    throw new WrongArgument("An address is such as https://sync.example.");
  }
  const url = new URL(address);
  if (url.username !== "" || url.password !== "") {
    throw new WrongArgument("An address has no user and no password before the host.");
  }
  if (url.search !== "" || url.hash !== "") {
    throw new WrongArgument("An address has no ? and no #: it is what /sync is added to.");
  }
  const path = url.pathname.replace(/^(.{0,2000}[^/])\/*$/, "$1");
  url.pathname = (path === "/" ? "" : path) + SYNC_PATH;
  return url;
}
