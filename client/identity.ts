/** What makes an identity, or brings one to another device: for apps that have none stored yet. */
export { InvalidKey } from "./errors.ts";
export {
  type CreateOptions,
  createIdentity,
  importIdentity,
  type NewIdentity,
} from "./identity/identity.ts";
export { withHeads } from "./identity/key-heads.ts";
