/**
 * Throws an error for the user where the browser has no Web Crypto. It has that only in secure contexts
 * (W3C, "Web Cryptography API", section 10): a page at `http://192.168.1.2` is none.
 */
export function checkSecure(): void {
  if (crypto.subtle !== undefined) return;
  throw new Error(
    "browsers encrypt only in a secure context: open this page over https, or at localhost",
  );
}
