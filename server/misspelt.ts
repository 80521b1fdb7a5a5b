/** Finds environment variables whose names look like settings that somebody meant. */

/** Variables of every system that are a letter away from a setting. */
const OTHERS: ReadonlySet<string> = new Set(["USER"]);

/** Names shorter than this are near to many others: HOME, PATH and LANG to HOST, PORT and LOG. */
const LONG = 6;

/** Pairs of a variable and the setting that it is near to: two letters, or one of a short name. */
export function misspelt(
  variables: readonly string[],
  settings: readonly string[],
): [variable: string, setting: string][] {
  const known = new Set([...settings, ...OTHERS]);
  return variables
    .filter((variable) => !known.has(variable))
    .flatMap((variable) => {
      const near = settings.find((setting) => isNear(variable, setting));
      return near === undefined ? [] : [[variable, near]];
    });
}

function isNear(variable: string, setting: string): boolean {
  const allowed = setting.length < LONG ? 1 : 2;
  if (Math.abs(variable.length - setting.length) > allowed) return false;
  // Lower-case names of short settings, such as port and log, are often those of other programs.
  const name = setting.length < LONG ? variable : variable.toUpperCase();
  return distance(name, setting) <= allowed;
}

/** How many letters are wrong, missing, added, or exchanged with their neighbour. */
function distance(one: string, other: string): number {
  let before: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    for (let j = 1; j <= other.length; j++) {
      const at = (line: readonly number[], k: number) => line[k] ?? Number.POSITIVE_INFINITY;
      const same = one[i - 1] === other[j - 1];
      const exchanged = one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      row[j] = Math.min(
        at(last, j) + 1,
        at(row, j - 1) + 1,
        at(last, j - 1) + (same ? 0 : 1),
        exchanged ? at(before, j - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [before, last] = [last, row];
  }
  return last[other.length] ?? 0;
}
