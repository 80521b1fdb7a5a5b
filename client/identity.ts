/** What makes an identity, or brings it to another device. An app that has one stored needs none. */
export { InvalidKey } from "./errors.ts";
export {
  type CreateOptions,
  createIdentity,
  importIdentity,
  type NewIdentity,
} from "./identity/identity.ts";
