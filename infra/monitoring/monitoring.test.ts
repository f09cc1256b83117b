import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { INSTALL_MS, installedBy, isExecutable } from "../../test/debian.ts";
import { type Harness, startHarness } from "../../test/harness.ts";

/** Rules, configuration and dashboard, by Prometheus' own tool and against what real services serve. */

const HERE = fileURLToPath(new URL(".", import.meta.url));
const read = (name: string) => readFileSync(join(HERE, name), "utf8");
const SERVICES = ["ledger", "ingest", "tabulate", "recount", "release", "watch"] as const;
const METRIC = /\b(?:scrutin|nodejs|process)_[a-z0-9_]+/g;

let promtool = "";
let harness: Harness;
/** What each service serves. */
const served = new Map<string, string>();

beforeAll(async () => {
  const path = "/usr/bin/promtool";
  const find = async () => ((await isExecutable(path)) ? path : undefined);
  const found = await installedBy("prometheus", find, "there is no promtool; install Debian's package prometheus");
  if ("path" in found) promtool = found.path;
  else if (process.env.CI === "true") throw new Error(found.missing);
  else console.warn(`promtool's checks are skipped: ${found.missing}`);
  harness = await startHarness();
  const urls: Record<string, string> = {};
  for (const service of SERVICES) {
    const more: Record<string, string> =
      service === "watch"
        ? { SCRUTIN_SERVICES: JSON.stringify(urls) }
        : service === "tabulate"
          ? { SCRUTIN_INGEST_URL: urls.ingest ?? "" }
          : {};
    const { url } = await harness.start(service, more);
    urls[service] = url;
    await fetch(`${url}/v1/codes`);
    served.set(service, await (await fetch(`${url}/metrics`)).text());
  }
}, INSTALL_MS);
afterAll(() => harness?.close());

/** The names that the services declare, with those of a histogram's and a summary's series. */
function declared(): Set<string> {
  const names = [...served.values()].flatMap((text) => [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)]);
  return new Set(
    names.flatMap(([, name = "", type]) =>
      type === "histogram" ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
}

const tool = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(promtool, args, { cwd: HERE, encoding: "utf8" });
  return { status, said: stdout + stderr };
};

describe("by promtool", () => {
  it.for([
    ["check", "config", "prometheus.yml"],
    ["check", "rules", "alerts.yml"],
    ["test", "rules", "alerts.test.yml"],
  ])("%s %s %s", (args, test) => {
    if (promtool === "") return test.skip("there is no promtool");
    const { status, said } = tool(...args);
    expect([status, said]).toEqual([0, expect.stringContaining("SUCCESS")]);
  });

  it.for(SERVICES)("what %s serves has names by the conventions", (service, test) => {
    if (promtool === "") return test.skip("there is no promtool");
    const { stdout, stderr } = spawnSync(promtool, ["check", "metrics"], {
      input: served.get(service) ?? "",
      encoding: "utf8",
    });
    // prom-client's own names are not ours to choose.
    const ours = (stdout + stderr).split("\n").filter((line) => line.startsWith("scrutin_"));
    expect(ours).toEqual([]);
  });
});

describe("the alerts and the dashboard", () => {
  it("use metrics that there are", () => {
    const names = declared();
    expect(names.size).toBeGreaterThan(60);
    for (const file of ["alerts.yml", "grafana/night.json"]) {
      const used = new Set(read(file).match(METRIC) ?? []);
      expect(used.size).toBeGreaterThan(10);
      expect(
        [...used].filter((name) => !names.has(name)),
        file,
      ).toEqual([]);
    }
  });

  it("name a page for each alert, and test each", async () => {
    const alerts = [...read("alerts.yml").matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
    const pages = [...read("alerts.yml").matchAll(/runbook: (\S+)/g)].map(([, page]) => page as string);
    expect(pages).toHaveLength(alerts.length);
    for (const page of pages) await access(join(HERE, page));
    for (const alert of alerts) expect(read("alerts.test.yml").split(`alertname: ${alert}\n`)).toHaveLength(3);
  });

  it("show panels that each ask for something, in places of their own", () => {
    const { panels, uid } = JSON.parse(read("grafana/night.json")) as {
      uid: string;
      panels: { type: string; gridPos: { x: number; y: number }; targets?: { expr: string }[] }[];
    };
    expect(uid).toBe("scrutin-night");
    const shown = panels.filter(({ type }) => type !== "row");
    expect(shown.length).toBeGreaterThan(12);
    for (const { targets = [] } of shown) expect(targets.every(({ expr }) => expr.length > 5)).toBe(true);
    expect(new Set(panels.map(({ gridPos: { x, y } }) => `${x} ${y}`)).size).toBe(panels.length);
  });
});
