/** What the command loads once it is run. */
export { newPrivateKey } from "./account.ts";
export { CASES } from "./cases/cases.ts";
export { look, NothingToTry, tryEach } from "./suite.ts";
export { TestedServer } from "./tested-server.ts";
