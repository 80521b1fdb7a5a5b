import { MemoryDriver } from "../storage/memory.ts";
import { driverContract } from "./driver-contract.ts";
import { protocolSuite } from "./protocol-suite.ts";

driverContract("memory", {
  open: async () => new MemoryDriver(),
  shared: false,
  remove: () => undefined,
});

protocolSuite("memory", async () => new MemoryDriver());
