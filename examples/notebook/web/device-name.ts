/** How this browser is called until a person gives it a name. */

type Sign = readonly [sign: string, name: string];

/** The first that a user agent names: some name others as well, to be taken for them. */
const BROWSERS: readonly Sign[] = [
  ["Edg", "Edge"],
  ["OPR/", "Opera"],
  ["Firefox/", "Firefox"],
  ["Chrome/", "Chrome"],
  ["Safari/", "Safari"],
];
const SYSTEMS: readonly Sign[] = [
  ["Android", "Android"],
  ["iPhone", "iPhone"],
  ["iPad", "iPad"],
  ["CrOS", "ChromeOS"],
  ["Windows", "Windows"],
  ["Mac OS X", "Mac"],
  ["Linux", "Linux"],
];

/** Such as “Firefox on Linux”. */
export function nameOfBrowser(agent = navigator.userAgent): string {
  const named = (list: readonly Sign[]) => list.find(([sign]) => agent.includes(sign))?.[1];
  const [browser, system] = [named(BROWSERS) ?? "Browser", named(SYSTEMS)];
  return system === undefined ? browser : `${browser} on ${system}`;
}
