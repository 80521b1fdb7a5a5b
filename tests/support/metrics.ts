/** All metrics of a server, as text. */
export async function metricsOf(url: string): Promise<string> {
  const response = await fetch(new URL("/metrics", url));
  return response.text();
}

/** The value of one metric, by its name and labels; `NaN` where there is none. */
export async function metricOf(url: string, name: string): Promise<number> {
  const lines = (await metricsOf(url)).split("\n");
  const line = lines.find((line) => line.startsWith(`${name} `));
  return line === undefined ? Number.NaN : Number(line.slice(name.length));
}
