import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { portOf } from "../../support/ports.ts";

/** One server's way to Redis, which may be slow, cut, or swallow what is sent. */
export interface Link {
  readonly url: string;
  /** By how many milliseconds each direction is delayed from now on. */
  delay: number;
  /** Ends the connections that there are. */
  readonly cut: () => void;
  /** Nothing arrives any more, in either direction, and nobody is told. */
  readonly partition: () => void;
  /** What was swallowed arrives now, unless the connections are reset. */
  readonly heal: (reset: boolean) => void;
  readonly close: () => Promise<void>;
}

/** Opens a way to a port on loopback. */
export async function openLink(port: number): Promise<Link> {
  const sockets = new Set<net.Socket>();
  let healed = Promise.resolve();
  let heal: () => void = () => undefined;
  const server = net.createServer((near) => {
    const far = net.connect(port, "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.delete(socket));
    }
    carry(near, far);
    carry(far, near);
  });
  /** Passes on what arrives, in its order, and the end after it. */
  const carry = (from: net.Socket, to: net.Socket) => {
    let last = Promise.resolve();
    const later = (work: () => void) => {
      const due = performance.now() + link.delay;
      last = last.then(async () => {
        const left = due - performance.now();
        if (left > 0) await sleep(left);
        await healed;
        work();
      });
    };
    from.on("data", (data) => later(() => to.writable && to.write(data)));
    from.on("close", () => later(() => to.destroySoon()));
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const link: Link = {
    url: `redis://127.0.0.1:${portOf(server)}`,
    delay: 0,
    cut,
    partition: () => {
      healed = new Promise((resolve) => {
        heal = resolve;
      });
    },
    heal: (reset) => {
      if (reset) cut();
      heal();
    },
    close: async () => {
      heal();
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return link;
}
