/** A table in Markdown. The first `texts` columns are aligned left, the others right. */
export function table(
  head: readonly string[],
  lines: readonly (readonly string[])[],
  texts: number,
): string {
  const rule = head.map((_, column) => (column < texts ? "---" : "---:"));
  return [head, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Three significant digits; above 1000, an integer. */
export function formatNumber(value: number): string {
  const small = Math.abs(value) < 1000;
  const digits = { maximumSignificantDigits: small ? 3 : 21 };
  return (small ? value : Math.round(value)).toLocaleString("en", digits);
}
