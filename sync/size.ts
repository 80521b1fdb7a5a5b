const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** The bytes of a size such as 500000, 512KiB or 1GiB; `NaN` for any other text. */
export function parseSize(text: string): number {
  const [, number, unit = ""] = /^(\d+)([A-Za-z]*)$/.exec(text) ?? [];
  return Number(number) * (UNITS[unit] ?? Number.NaN);
}
