/**
 * Keys that are derived from passphrases in a thousandth of the rounds, where these are not what is
 * tested: all of them take an eighth of a second of CPU for each text. The texts of such keys name all rounds, and
 * open here alone. `tests/client/identity.test.ts` derives in all of them on each runtime, and so does the
 * command line in `tests/e2e/cli.test.ts` on Bun and in `tests/e2e/from-nothing.test.ts` on Node.
 */
const DIVISOR = 1000;

/** Derives in fewer rounds in this process. Returns what ends it. */
export function deriveInFewRounds(): () => void {
  const { subtle } = globalThis.crypto;
  const deriveKey = subtle.deriveKey.bind(subtle);
  /** Of what the client asks for. */
  const derive: typeof deriveKey = (algorithm, ...rest) => {
    const isByRounds = typeof algorithm === "object" && "iterations" in algorithm;
    return deriveKey(
      isByRounds ? { ...algorithm, iterations: algorithm.iterations / DIVISOR } : algorithm,
      ...rest,
    );
  };
  Object.defineProperty(subtle, "deriveKey", { value: derive, configurable: true });
  return () => {
    Reflect.deleteProperty(subtle, "deriveKey");
  };
}

/** A script by which a page that can derive keys does so in as few rounds. */
export const FEW_ROUNDS = `if (globalThis.isSecureContext) {
  const deriveKey = SubtleCrypto.prototype.deriveKey;
  SubtleCrypto.prototype.deriveKey = function (algorithm, ...rest) {
    const { iterations } = algorithm;
    const few = iterations === undefined ? {} : { iterations: iterations / ${DIVISOR} };
    return deriveKey.call(this, { ...algorithm, ...few }, ...rest);
  };
}`;
