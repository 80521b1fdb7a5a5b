import { MemoryDriver } from "../storage/memory.ts";
import { driverContract } from "./driver-contract.ts";

driverContract("memory", async () => ({
  driver: new MemoryDriver(),
  remove: async () => undefined,
}));
