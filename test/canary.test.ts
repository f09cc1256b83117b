import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Canary, createCanary } from "../services/watch/canary.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { honestNight } from "./audit-night.ts";
import { published, type Served } from "./audit-published.ts";
import { type FileServer, startFileServer } from "./audit-server.ts";
import type { World } from "./audit-world.ts";
import { eventually } from "./ledger.ts";

/** The canary of watch: the observer's own program on what is public, a true night and one with a lie in it. */

let folder: string;
let server: FileServer;
let night: World;
let files: Map<string, Served>;
let announced = 0;
let now = 0;
const open: Canary[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-canary-"));
  server = await startFileServer();
  night = await honestNight();
  files = await published(night);
});
afterAll(async () => {
  for (const canary of open) await canary.close();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

function canaryOf(name: string, url: string | null = server.url.href): Canary {
  const canary = createCanary({
    url: url ?? undefined,
    folder: join(folder, name),
    definition: night.sample.definition,
    announced: () => announced,
    now: () => now,
    log: createHeardLog().log,
  });
  open.push(canary);
  return canary;
}
const finds = (canary: Canary, state: string) => eventually(() => canary.view().state === state, 60_000);

describe("the canary", () => {
  it("waits for a release, finds that it holds, and looks again at the next one", async () => {
    server.serve(files);
    announced = 0;
    const canary = canaryOf("true");
    await canary.look();
    expect(canary.view().state).toBe("nothing-yet");
    announced = 1;
    await canary.look();
    expect(canary.view().state).toBe("running");
    await finds(canary, "holds");
    expect(canary.view()).toMatchObject({ release: 1, says: null });
    announced = 2;
    await canary.look();
    expect(canary.view().release).toBe(1); // not so soon again
    now += 20_000;
    await canary.look();
    await eventually(() => canary.view().release === 2, 60_000);
    expect(canary.view().state).toBe("holds");
  });

  it("says what is wrong when a release is another one", async () => {
    const { body, ...rest } = files.get("/v1/releases/2")!;
    server.serve(new Map(files).set("/v1/releases/2", { ...rest, body: Buffer.concat([body, Buffer.from(" ")]) }));
    announced = 2;
    const canary = canaryOf("lie");
    await canary.look();
    await finds(canary, "differs");
    expect(canary.view().says).toContain("release.bytes");
  });

  it("says that it could not recount, and tries again", async () => {
    server.serve(new Map());
    announced = 2;
    const canary = canaryOf("nothing");
    await canary.look();
    await finds(canary, "failed");
    server.serve(files);
    now += 20_000;
    await canary.look();
    await finds(canary, "holds");
  });

  it("is off where it has nothing to look at, and ends with watch", async () => {
    expect(canaryOf("off", null).view().state).toBe("off");
    announced = 1;
    const canary = canaryOf("ended");
    await canary.look();
    await canary.close();
    expect(canary.view().state).not.toBe("failed");
  });
});
