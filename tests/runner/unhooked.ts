/**
 * Loaded before the tests on Node. Its runner has a hook called for each promise, to say of an error
 * that nothing handles which test has made it. That takes more than half of the CPU of a test that
 * awaits much. It is called for tests alone here, by which their suites are known; an error that
 * nothing handles still fails the file, and is printed.
 */
import hooks from "node:async_hooks";

const { AsyncResource, createHook } = hooks;
let init: hooks.HookCallbacks["init"];

/** What the runner's tests are made of. */
class Resource extends AsyncResource {
  constructor(...of: ConstructorParameters<typeof AsyncResource>) {
    super(...of);
    init?.(this.asyncId(), of[0], this.triggerAsyncId(), this);
  }
}

function createUnhooked(callbacks: hooks.HookCallbacks): hooks.AsyncHook {
  init = callbacks.init;
  // It is never enabled.
  return { enable: () => createHook({}), disable: () => createHook({}) };
}

Object.assign(hooks, { AsyncResource: Resource, createHook: createUnhooked });
await import("node:test");
Object.assign(hooks, { AsyncResource, createHook });

for (const event of ["uncaughtException", "unhandledRejection"]) {
  process.on(event, (error: unknown) => console.error("No test has handled", error));
}
