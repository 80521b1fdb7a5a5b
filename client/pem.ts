/** What reads a key of another program: an RSA private key in PEM. */
export { identityFromPem } from "./identity/pem.ts";
