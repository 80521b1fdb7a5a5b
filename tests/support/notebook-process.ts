/**
 * The notebook on the command line, which derives keys from passphrases in a thousandth of the rounds: they
 * take half the CPU of a command. The texts of its keys name all of the rounds, and open here alone.
 */
const { subtle } = globalThis.crypto;
const deriveKey = subtle.deriveKey.bind(subtle);

/** Of what the client asks for. */
const derive: typeof deriveKey = (algorithm, ...rest) => {
  const isByRounds = typeof algorithm === "object" && "iterations" in algorithm;
  return deriveKey(
    isByRounds ? { ...algorithm, iterations: algorithm.iterations / 1000 } : algorithm,
    ...rest,
  );
};

Object.defineProperty(subtle, "deriveKey", { value: derive });
await import("../../examples/notebook/cli/cli.ts");
