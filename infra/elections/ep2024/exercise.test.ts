import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createRegister } from "../../../shared/definition/register.ts";
import type { Definition } from "../../../shared/definition/schema.ts";
import { readDefinition } from "../../../shared/definition/validate.ts";
import { rawPublicKey } from "./demonstration-keys.ts";
import { committedDefinition, type ExerciseOptions, makeExercise } from "./exercise.ts";

const base = JSON.parse(Buffer.from(committedDefinition().bytes).toString("utf8")) as Definition;
const lift = Date.parse("2024-06-09T21:00:00Z");
const now = new Date("2026-11-22T12:00:00.000Z");
const realLift = now.getTime() + 60_000;
const freshKey = (curve: "ed25519" | "x25519"): string =>
  rawPublicKey((curve === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("x25519")).privateKey);

function options(more: Partial<ExerciseOptions> = {}): ExerciseOptions {
  return {
    full: false,
    // An hour of 2024 in a third of a second, so that closings fall on fractions of one.
    closesAt: (utc) => new Date(Math.round(realLift + (Date.parse(utc) - lift) / 10_800)),
    now,
    authority: ["night-1", "night-2"].map((id) => ({ id, privateKey: generateKeyPairSync("ed25519").privateKey })),
    keys: base.keys.map((key) => ({ ...key, publicKey: freshKey("ed25519") })),
    vault: { publicKey: freshKey("x25519"), recoveryKey: freshKey("x25519") },
    origin: "scrutin.example/night",
    ...more,
  };
}

describe("an exercise", () => {
  it("is another definition, signed by the given keys, which says that it is an exercise", () => {
    const made = makeExercise(options());
    const read = readDefinition(made.bytes, made.signatures, made.anchors);
    expect(read).toMatchObject({ kind: "valid", hash: made.hash });
    expect(made.definition).toMatchObject({ mode: "exercise", seats: 720, origin: "scrutin.example/night" });
    expect(made.definition.title).toMatch(/^Exercise of 2026-11-22T12:00:00\.000Z on /);
    expect(readDefinition(made.bytes, made.signatures, committedDefinition().anchors).kind).toBe("invalid");
    const demonstration = new Set([...base.keys, ...base.authority].map((key) => key.publicKey));
    expect(
      [...made.definition.keys, ...made.definition.authority].some((key) => demonstration.has(key.publicKey)),
    ).toBe(false);
  });

  it("closes at real instants, in the same zones with that day's offset", () => {
    const { definition, hash } = makeExercise(options());
    const register = createRegister(definition, hash);
    expect(register.lastClosing()).toBe(realLift);
    expect(register.closesAt("NL")).toBe(Math.round(realLift - (74 * 3_600_000) / 10_800));
    const spain = definition.states.find((state) => state.id === "ES")!.closings;
    expect(spain.map(({ utc }) => utc)).toEqual(["2026-11-22T12:00:59.000Z", "2026-11-22T12:00:59.333Z"]);
    expect(spain.map(({ local }) => local)).toEqual(["2026-11-22T13:00:59+01:00", "2026-11-22T12:00:59.333+00:00"]);
  });

  it("has Germany by district when full", () => {
    const { definition, hash } = makeExercise(options({ full: true }));
    const register = createRegister(definition, hash);
    expect(register.expectedUnits("DE")).toBe(91_753);
    expect(register.unit("DE-national")).toBeUndefined();
    const stations = ["DE", "RO", "SI"].reduce((sum, state) => sum + register.expectedUnits(state), 0);
    expect(stations).toBe(114_701);
  });

  it("names the witnesses that it is given, and none otherwise", () => {
    const witness = (n: number) => ({ name: `witness.example/${n}`, operator: "x", publicKey: freshKey("ed25519") });
    const witnesses = { quorum: 2, keys: [witness(1), witness(2)] };
    expect(makeExercise(options({ witnesses })).definition.witnesses).toEqual(witnesses);
    expect(makeExercise(options()).definition.witnesses).toBeUndefined();
  });

  it("is not made of options that no service would take", () => {
    const one = options().authority.slice(0, 1);
    expect(() => makeExercise(options({ authority: one }))).toThrow(/definition\.signatures-missing/);
    const keys = options().keys;
    const shared = keys.map((key, i) => (i === 1 ? { ...key, publicKey: keys[0]!.publicKey } : key));
    expect(() => makeExercise(options({ keys: shared }))).toThrow(/definition\.key-twice/);
  });
});
