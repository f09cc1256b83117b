import { describe, expect, it } from "vitest";
import { createRegister } from "./register.ts";
import { signTest, TEST_ANCHORS, testDefinition } from "./test-definition.ts";
import { readDefinition } from "./validate.ts";

describe("the register", () => {
  const register = createRegister(testDefinition(), "00".repeat(32));

  it("knows each unit's place and rules, and no other unit", () => {
    expect(register.unit("IT-2")).toMatchObject({
      state: "IT",
      constituency: "IT",
      kind: { id: "section", register: true },
    });
    expect(register.unit("BE-G-postal")).toMatchObject({ state: "BE", constituency: "GBE", kind: { id: "postal" } });
    for (const id of ["IT-4", "", "__proto__", "constructor"]) expect(register.unit(id)).toBeUndefined();
  });

  it("knows keys, states, constituencies and lists", () => {
    expect(register.key("BE-1")).toMatchObject({ role: "office", state: "BE" });
    expect(register.key("authority-1")).toBeUndefined();
    expect(register.state("BE")?.seats).toBe(4);
    expect(register.constituency("FBE")).toMatchObject({ state: { id: "BE" }, constituency: { seats: 3 } });
    expect(register.listsOf("FBE").map((list) => list.id)).toEqual(["BE01", "BE02", "BE03"]);
    expect(register.listsOf("XX")).toEqual([]);
    expect(register.stands("BE14", "GBE")).toBe(true);
    expect(register.stands("BE14", "FBE")).toBe(false);
    expect(register.stands("ZZ14", "GBE")).toBe(false);
  });

  it("takes the last closing that counts, of a state and of the Union", () => {
    expect(register.closesAt("BE")).toBe(Date.parse("2024-06-09T14:00:00Z"));
    expect(register.closesAt("IT")).toBe(Date.parse("2024-06-09T21:00:00Z")); // Los Angeles does not count
    expect(register.lastClosing()).toBe(Date.parse("2024-06-09T21:00:00Z"));
    expect(() => register.closesAt("FR")).toThrow(RangeError);
  });

  it("never closes a state without a closing that counts", () => {
    const definition = testDefinition();
    for (const closing of definition.states[1]!.closings) closing.counts = false;
    expect(createRegister(definition, "").lastClosing()).toBe(Number.POSITIVE_INFINITY);
  });

  it("counts expected units", () => {
    expect(["IT", "BE", "FR"].map((id) => register.expectedUnits(id))).toEqual([3, 4, 0]);
  });

  it("holds a whole Union's polling stations, read and built within seconds", () => {
    const definition = testDefinition();
    const ids = Array.from({ length: 465_000 }, (_, i) => `IT-1-${String(i).padStart(6, "0")}-0001`);
    definition.states[0]!.units[0]!.ids = ids;
    const bytes = Buffer.from(JSON.stringify(definition));
    const started = performance.now();
    const read = readDefinition(bytes, signTest(bytes), TEST_ANCHORS);
    if (read.kind === "invalid") throw new Error(JSON.stringify(read.reasons));
    const large = createRegister(read.definition, read.hash);
    const elapsed = performance.now() - started;
    console.info(`465,000 units: ${bytes.length} bytes read and registered in ${Math.round(elapsed)} ms`);
    expect(large.expectedUnits("IT")).toBe(465_000);
    expect(large.unit("IT-1-464999-0001")?.state).toBe("IT");
    expect(elapsed).toBeLessThan(10_000);
  });
});
