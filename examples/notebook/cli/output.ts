/** What commands print to standard output. What cannot be printed is a failure, on every runtime. */

/** Resolves once the text is handed on. Rejects when nobody takes it: a full disk, a closed pipe. */
export function print(text: string): Promise<void> {
  const { stdout } = process;
  return new Promise((resolve, reject) => {
    // The stream emits the error as well, and would end the process with its stack.
    stdout.once("error", reject);
    stdout.write(text, (error) => {
      if (error) return reject(error);
      stdout.off("error", reject);
      resolve();
    });
  });
}

/** A text without the control characters that a terminal obeys, but for line feeds and tabs. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, "\u{fffd}");
}
