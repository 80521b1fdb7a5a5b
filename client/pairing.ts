/** Transfers the key to another device through the server, which cannot read it. README.md shows how. */

export { endPairing } from "./pairing/end.ts";
export { PairingFailed, type PairingFault } from "./pairing/errors.ts";
export { isLink as isPairingLink } from "./pairing/link.ts";
export { KeyOffer, MistypedCode, type OfferOptions } from "./pairing/offer.ts";
export { KeyRequest, type RequestOptions } from "./pairing/request.ts";
