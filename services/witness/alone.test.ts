import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { holdAlone } from "./alone.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-alone-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("lets one process at a time into a witness' memory", async () => {
  const first = await holdAlone(folder);
  expect(first).toBeDefined();
  expect(await holdAlone(folder)).toBeUndefined();
  first?.close();
  await once(first ?? process, "close");
  const second = await holdAlone(folder);
  expect(second).toBeDefined();
  second?.close();
});

it("takes over what a killed process left", async () => {
  const script = `require("node:net").createServer().listen(${JSON.stringify(join(folder, "process.sock"))}, () => console.log("up"))`;
  const other = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  await once(other.stdout, "data");
  expect(await holdAlone(folder)).toBeUndefined();
  other.kill("SIGKILL");
  await once(other, "exit");
  const ours = await holdAlone(folder);
  expect(ours).toBeDefined();
  ours?.close();
});
