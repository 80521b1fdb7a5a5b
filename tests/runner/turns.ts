/** Where a work prints. */
export type Print = (text: string) => void;

/**
 * Does works side by side, and prints as if each began when the one before it had ended: what comes
 * earlier is kept until then. Rejects if one of them does.
 */
export function inTurns<Result>(
  works: readonly ((print: Print) => Promise<Result>)[],
  output: Print,
): Promise<Result[]> {
  const turns = works.map((work) => ({ work, kept: "", ended: false }));
  const show = () => {
    for (const turn of turns) {
      if (turn.kept !== "") output(turn.kept);
      turn.kept = "";
      if (!turn.ended) return;
    }
  };
  return Promise.all(
    turns.map(async (turn) => {
      try {
        return await turn.work((text) => {
          turn.kept += text;
          show();
        });
      } finally {
        turn.ended = true;
        show();
      }
    }),
  );
}
