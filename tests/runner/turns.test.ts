import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gate } from "../support/drivers.ts";
import { inTurns, type Print } from "./turns.ts";

describe("works side by side", () => {
  it("print one after the other, and the first of them at once", async () => {
    const printed: string[] = [];
    const gates = [gate(), gate(), gate()];
    const works = gates.map(({ opened }, i) => async (print: Print) => {
      print(`${i} begins `);
      await opened;
      print(`${i} ends `);
      return i;
    });
    const results = inTurns(works, (text) => printed.push(text));
    assert.equal(printed.join(""), "0 begins ");
    gates[2]?.open();
    gates[0]?.open();
    await gates[0]?.opened;
    while (printed.length < 3) await new Promise(setImmediate);
    assert.equal(printed.join(""), "0 begins 0 ends 1 begins ");
    gates[1]?.open();
    assert.deepEqual(await results, [0, 1, 2]);
    assert.equal(printed.join(""), "0 begins 0 ends 1 begins 1 ends 2 begins 2 ends ");
  });
});
