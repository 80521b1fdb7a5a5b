import { MemoryDriver } from "../storage/memory.ts";
import { driverContract } from "./driver-contract.ts";
import { protocolSuite } from "./protocol-suite.ts";

driverContract("memory", async () => ({
  driver: new MemoryDriver(),
  remove: async () => undefined,
}));

protocolSuite("memory", async () => new MemoryDriver());
