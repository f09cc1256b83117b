import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { RAISERS } from "../../../shared/platform/incidents.ts";
import { readRunbook } from "../runbooks.ts";
import { INCIDENTS, kindOf } from "./catalogue.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const PAGES = join(ROOT, "infra", "monitoring", "runbooks");
const codes = Object.keys(INCIDENTS);

/** The codes that stand in a service's own files where it raises something. */
function raisedBy(service: string): string[] {
  const files = readdirSync(join(ROOT, "services", service), { recursive: true, encoding: "utf8" });
  const texts = files
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .map((file) => readFileSync(join(ROOT, "services", service, file), "utf8"));
  const found = texts.flatMap((text) => [...text.matchAll(/(?:raise\(\{ code:|tell\()\s*"([a-z.-]+)"/g)]);
  return found.map(([, code = ""]) => code);
}

describe("the catalogue of incidents", () => {
  it("has every code that a service raises", () => {
    const raised = RAISERS.flatMap(raisedBy);
    expect(raised.length).toBeGreaterThan(15);
    for (const code of raised) expect(codes, code).toContain(code);
    expect(codes).toContain("log.forked"); // raised by way of LogContradicted
  });

  it.each(codes)("%s has a page that says how it is noticed, what to do and when it is over", async (code) => {
    const text = (await readRunbook(code)) ?? "";
    for (const title of ["What it means", "How it is noticed", "What to do", "It is over when"])
      expect(text).toContain(`\n## ${title}\n`);
    expect(text.startsWith(`# ${code}\n`)).toBe(true);
    const { means, todo, severity } = kindOf(code);
    const flat = text.replaceAll("\n", " ");
    expect(flat).toContain(means);
    expect(flat).toContain(todo);
    expect(flat).toContain(`It is ${severity},`);
  });

  it("has a code for every page", () => {
    expect(
      readdirSync(PAGES)
        .map((name) => name.replace(/\.md$/, ""))
        .sort(),
    ).toEqual([...codes].sort());
  });

  it.each(["../../package", "feed", "feed.silent/../feed.gone", "FEED.silent", "no.such"])(
    "gives no file for %j",
    async (code) => {
      expect(await readRunbook(code)).toBeUndefined();
    },
  );

  it("takes a code that it does not know for a malformed incident", () => {
    for (const code of ["no.such", "constructor", "__proto__", ""])
      expect(kindOf(code)).toBe(INCIDENTS["incident.malformed"]);
  });
});
