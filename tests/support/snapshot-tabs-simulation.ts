/** Tabs that share one log while snapshots take the place of it, and that crash. */
import { Browser, HOUR } from "./simulated-browser.ts";
import { nextTick } from "./simulated-network.ts";
import { withSimulatedUser } from "./simulated-user.ts";

/**
 * Runs one seed. Throws an `AssertionError` where an invariant breaks. Returns the next random number: the
 * same as in another run if the same has happened in both.
 */
export function simulateSnapshotTabs(seed: number): Promise<number> {
  return withSimulatedUser(seed, async (identity) => {
    const kept = (["nothing", "data", "cursors"] as const)[Math.floor(seed / 3) % 3] ?? "data";
    const world = new Browser(identity, kept, seed);
    world.network.faulty = 0.2;
    let next = 0;
    const texts = (name: string) =>
      Array.from({ length: 1 + Math.floor(world.random() * 4) }, () => {
        return `${name} ${next++} ${"x".repeat(Math.floor(world.random() * 600))}`;
      });
    try {
      await world.open();
      await world.open();
      for (let step = 0; step < 50; step++) {
        const choice = world.random();
        const tab = world.tabs[Math.floor(world.random() * world.tabs.length)];
        if (tab === undefined || (choice < 0.1 && world.tabs.length < 4)) await world.open();
        else if (choice < 0.18) world.crash(tab);
        else if (choice < 0.36) await Promise.race([tab.client.sync(), turns(30)]);
        else if (choice < 0.6) await world.appendOnPhone(texts("phone"));
        else if (choice < 0.66) await world.trim();
        else if (choice < 0.72) await turns(20);
        else await world.append(tab, texts("tab"));
      }
      world.network.faulty = 0;
      world.clock.pass(HOUR);
      if (world.tabs.length === 0) await world.open();
      await world.sync();
      await world.sync();
      world.check();
      return world.random();
    } finally {
      await world.close();
    }
  });
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTick();
}
