import { it } from "node:test";

const notNode = process.versions.bun ?? process.versions.deno;

if (notNode === undefined) {
  const { testPackages } = await import("./package-suite.ts");
  testPackages();
} else {
  it("the packages are tested on Node alone: npm and Vite are made for it", { skip: true });
}
