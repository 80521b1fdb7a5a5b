/**
 * Drivers with one fault each. The driver contract has to reject all of them: each stands for a
 * driver that somebody could write in good faith and that would lose operations.
 */
import { randomUUID } from "node:crypto";
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Driver,
  ObjectMissing,
  partitionOf,
  StorageUnavailable,
  type StoredObject,
} from "../../storage/driver.ts";
import { FilesystemDriver } from "../../storage/filesystem.ts";
import { MemoryDriver } from "../../storage/memory.ts";

/** A broken driver, and how the contract finds out. */
export interface Broken {
  readonly open: (folder: string) => Promise<Driver>;
  /** The test of the contract that rejects it. */
  readonly rejectedBy: string;
  /** What that test says. */
  readonly because: RegExp;
}

const AFTER_KILL = "has what was acknowledged when the process that stored it is killed";
const WITHOUT_BACKEND =
  "fails every call with StorageUnavailable while the backend fails, and never calls it empty";

/** A driver with some of its calls replaced. */
function changed(driver: Driver, change: Partial<Driver>): Driver {
  return {
    list: (prefix) => driver.list(prefix),
    get: (name, size) => driver.get(name, size),
    put: (name, body, options) => driver.put(name, body, options),
    delete: (name) => driver.delete(name),
    close: () => driver.close(),
    ...change,
  };
}

/** The path of an object in the folder of `FilesystemDriver`, which is made for it. */
function pathOf(folder: string, name: string): string {
  mkdirSync(join(folder, partitionOf(name)), { recursive: true });
  return join(folder, partitionOf(name), name);
}

/** Waits for work, and turns a failure of the storage into something else. */
async function unless<Result>(
  work: Promise<Result>,
  otherwise: (error: StorageUnavailable) => Result,
): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof StorageUnavailable) return otherwise(error);
    throw error;
  }
}

export const storesLater: Broken = {
  open: async (folder) => {
    const driver = await FilesystemDriver.open(folder);
    return changed(driver, {
      put: async (name, body) => {
        void sleep(500).then(() => driver.put(name, body));
      },
    });
  },
  rejectedBy: AFTER_KILL,
  because: /is lost/,
};

export const neverSyncs: Broken = {
  open: async (folder) =>
    changed(await FilesystemDriver.open(folder), {
      put: async (name, body) => {
        const aside = join(folder, ".tmp", randomUUID());
        writeFileSync(aside, body);
        renameSync(aside, pathOf(folder, name));
      },
    }),
  rejectedBy: "syncs what it stores to the disk before it says so",
  because: /nothing was synced/,
};

export const doesNotWait: Broken = {
  open: async (folder) => {
    const driver = await FilesystemDriver.open(folder);
    const lock = join(folder, ".lock");
    return changed(driver, {
      put: async (name, body) => {
        try {
          closeSync(openSync(lock, "wx"));
        } catch (error) {
          throw new StorageUnavailable("the storage is busy", { cause: error });
        }
        await driver.put(name, body).finally(() => rmSync(lock));
      },
    });
  },
  rejectedBy: "works while another process stores: a busy backend is waited for",
  because: /busy/,
};

export const throwsPlainErrors: Broken = {
  open: async (folder) => {
    const driver = await FilesystemDriver.open(folder);
    const plain = (error: Error) => {
      throw new Error(error.message);
    };
    return changed(driver, { put: (name, body) => unless(driver.put(name, body), plain) });
  },
  rejectedBy: WITHOUT_BACKEND,
  because: /a put/,
};

export const listsNothingWithoutBackend: Broken = {
  open: async (folder) => {
    const driver = await FilesystemDriver.open(folder);
    return changed(driver, {
      list: (prefix) => unless<StoredObject[]>(driver.list(prefix), () => []),
    });
  },
  rejectedBy: WITHOUT_BACKEND,
  because: /a list of a partition/,
};

export const missesObjectsWithoutBackend: Broken = {
  open: async (folder) => {
    const driver = await FilesystemDriver.open(folder);
    return changed(driver, {
      get: (name) =>
        unless(driver.get(name), () => {
          throw new ObjectMissing(name);
        }),
    });
  },
  rejectedBy: WITHOUT_BACKEND,
  because: /a get/,
};

export const acknowledgesWithoutBackend: Broken = {
  open: async (folder) => {
    const driver = await FilesystemDriver.open(folder);
    return changed(driver, {
      put: (name, body) => unless(driver.put(name, body), () => undefined),
    });
  },
  rejectedBy: WITHOUT_BACKEND,
  because: /a put/,
};

export const opensWithoutBackend: Broken = {
  open: (folder) => unless<Driver>(FilesystemDriver.open(folder), () => new MemoryDriver()),
  rejectedBy: "does not open where the backend is absent",
  because: /Missing expected rejection/,
};

export const showsHalfAnObject: Broken = {
  open: async (folder) =>
    changed(await FilesystemDriver.open(folder), {
      put: async (name, body) => {
        const path = pathOf(folder, name);
        writeFileSync(path, body.subarray(0, body.length / 2));
        await sleep(20);
        appendFileSync(path, body.subarray(body.length / 2));
      },
    }),
  rejectedBy: AFTER_KILL,
  because: /by halves/,
};

export const listsOnePage: Broken = {
  open: async () => {
    const driver = new MemoryDriver();
    return changed(driver, { list: async (prefix) => (await driver.list(prefix)).slice(0, 1000) });
  },
  rejectedBy: "lists 2,020 objects completely and in order, without those of other partitions",
  because: /deep/,
};

export const replacesObjects: Broken = {
  open: async () => {
    const driver = new MemoryDriver();
    return changed(driver, {
      put: async (name, body) => {
        await driver.delete(name);
        await driver.put(name, body);
      },
    });
  },
  rejectedBy: "leaves an object as it is when its name is put again",
  because: /deep/,
};

export const storesAnyName: Broken = {
  open: async () => {
    const driver = new MemoryDriver();
    const encoded = (name: string) => Buffer.from(name).toString("hex").slice(0, 255) || "empty";
    return changed(driver, { put: (name, body) => driver.put(encoded(name), body) });
  },
  rejectedBy: "refuses names that could lead out of its storage",
  because: /Missing expected rejection/,
};

export const acknowledgesWhatItIgnores: Broken = {
  open: async () => {
    const driver = new MemoryDriver();
    return changed(driver, {
      put: (name, body, options) => unless(driver.put(name, body, options), () => undefined),
    });
  },
  rejectedBy:
    "replaces no body by another with the same MD5, unless every put replaces what is stored",
  because: /Missing expected rejection/,
};

const TIMES = "shows when an object was stored, if it knows that, and the same each time";

export const showsTheTimeOfTheList: Broken = {
  open: async () => {
    const driver = new MemoryDriver();
    let time = Date.now();
    const list = async (prefix: string, withTimes = false) => {
      time += 1000;
      const listed = await driver.list(prefix);
      return withTimes ? listed.map((object) => ({ ...object, storedAt: time })) : listed;
    };
    return changed(driver, { list });
  },
  rejectedBy: TIMES,
  because: /deep/,
};

export const datesCopiesByTheDay: Broken = {
  open: async () => {
    const driver = new MemoryDriver();
    const times = new Map<string, number>();
    const day = 24 * 3600 * 1000;
    return changed(driver, {
      put: (name, body, { md5, storedAt } = {}) => {
        times.set(name, storedAt === undefined ? Date.now() : storedAt - (storedAt % day));
        return driver.put(name, body, { md5 });
      },
      list: async (prefix, withTimes = false) => {
        const listed = await driver.list(prefix);
        if (!withTimes) return listed;
        return listed.map((object) => ({ ...object, storedAt: times.get(object.name) }));
      },
    });
  },
  rejectedBy: TIMES,
  because: /is before/,
};
