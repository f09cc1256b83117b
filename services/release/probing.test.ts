import { expect, it } from "vitest";
import { createProbing, MOST_WAYS } from "./probing.ts";

it("notices who asks in many ways, once, and nobody who waits as clients do", () => {
  let now = 0;
  const probing = createProbing(() => now);
  for (let n = 0; n < 10_000; n++) {
    now += 100;
    expect(probing.refused("10.0.0.1", "GET", `/v1/releases/${["latest", "latest.csv", "1"][n % 3]}`)).toBeUndefined();
  }
  const told = Array.from({ length: 3 * MOST_WAYS }, (_, n) => probing.refused("10.0.0.2", "GET", `/v1/releases/${n}`));
  expect(told.filter((ways) => ways !== undefined)).toEqual([MOST_WAYS]);
  expect(told.findIndex((ways) => ways !== undefined)).toBe(MOST_WAYS - 1);
  now += 10 * 60_000;
  expect(probing.refused("10.0.0.2", "GET", "/v1/releases/1")).toBeUndefined();
});

it("keeps few of many addresses", () => {
  const probing = createProbing(() => 0);
  for (let n = 0; n < 30_000; n++) probing.refused(`address ${n}`, "GET", "/v1/releases");
  const ways = Array.from({ length: MOST_WAYS }, (_, n) => probing.refused("address 1", "GET", `/v1/releases/${n}`));
  expect(ways.at(-1)).toBe(MOST_WAYS);
});
