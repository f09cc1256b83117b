import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Served, serve } from "../../shared/platform/http.ts";
import { createHeardLog } from "../../shared/platform/log-fixture.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { eventually } from "../../test/ledger.ts";
import { type OpenedWorld, openOpenedWorld } from "../../test/opened.ts";
import type { Written } from "../../test/written-log.ts";

/** The same over sockets: request targets as an attacker writes them, and clients that go away. */

let harness: Harness;
let world: OpenedWorld;
let served: Served;
let tally: Written;
let sha256: string;

beforeAll(async () => {
  harness = await startHarness();
  world = await openOpenedWorld(harness);
  served = await serve(world.app, { host: "127.0.0.1", port: 0, log: createHeardLog().log });
  tally = world.say.tally();
  sha256 = createHash("sha256").update(tally.jws).digest("hex");
  await world.log.append(tally);
  // The keys lie there, as if someone had got hold of them: nothing but this process' own look keeps it closed.
  await world.query("alter table release.data_key_share disable trigger wall");
  await world.giveKeys();
  await world.look();
});
afterAll(async () => {
  await served.close();
  await world.close();
  await harness.close();
});

async function raw(head: string): Promise<string> {
  const socket = connect(served.port, "127.0.0.1");
  // Not `end`: the server takes a client that has said all for one that has gone.
  socket.write(`${head}\r\nHost: x\r\nConnection: close\r\n\r\n`, "latin1");
  let text = "";
  for await (const chunk of socket.setEncoding("latin1")) text += chunk;
  return text;
}

describe("before the lift, no request target leads to a statement or a judgement", () => {
  const targets = () => [
    `/statements/${sha256}`,
    `/./statements/${sha256}`,
    `/x/../statements/${sha256}`,
    `/x/%2e%2e/statements/${sha256}`,
    `//statements/${sha256}`,
    `/statements//${sha256}`,
    `/statements/./${sha256}`,
    `/statements/${sha256}#x`,
    `/statements/${sha256}%00`,
    `/statements/${sha256}%20`,
    `/statements;x/${sha256}`,
    `\\statements\\${sha256}`,
    `/statements/%${Buffer.from(sha256.slice(0, 1)).toString("hex")}${sha256.slice(1)}`,
    `/statements/%25${Buffer.from(sha256.slice(0, 1)).toString("hex")}${sha256.slice(1)}`,
    `http://127.0.0.1/statements/${sha256}`,
    `http://127.0.0.1/v1/../statements/${sha256}`,
    "/log/judgements/0",
    "/log/./judgements/0",
    "/log/tile/../judgements/0",
    "/log/%6a%75dgements/0",
    "/log/judgements//0",
    "http://127.0.0.1/log/judgements/0",
    `/v1/proofs/../../statements/${sha256}`,
  ];
  const secrets = () => [Buffer.from(tally.jws).toString("latin1"), '"verdict"', "accepted"];

  it.each(["GET", "HEAD", "POST", "OPTIONS", "get"])("%s", async (method) => {
    for (const target of targets()) {
      const answer = await raw(`${method} ${target} HTTP/1.1`);
      expect([target, answer.split(" ", 2)[1]]).toEqual([target, expect.stringMatching(/^4\d\d$/)]);
      for (const secret of secrets()) expect(answer).not.toContain(secret);
    }
    const [, ...headers] = (await raw(`${method} /statements/${sha256} HTTP/1.1\r\nIf-None-Match: *`)).split("\r\n");
    expect(headers.join("\n")).not.toContain("etag");
  });
});

describe("a client that goes away", () => {
  it("gives the room back that its answer held", async () => {
    const big = world.say.signed(
      { type: "void", ...world.say.common("AT", "AT-1"), voids: 1, reason: "x".repeat(500) },
      "AT-1",
    );
    await world.log.append(big);
    await world.look();
    const { room } = world.opening.bounds;
    const hash = createHash("sha256").update(big.jws).digest("hex");
    for (let n = 0; n < 20; n++) {
      const socket = connect(served.port, "127.0.0.1");
      socket.write(`GET /statements/${hash} HTTP/1.1\r\nHost: x\r\n\r\n`);
      if (n % 2 === 0) await once(socket, "data");
      socket.destroy();
    }
    await eventually(() => room.taken === 0);
    expect((await fetch(`${served.url}/statements/${hash}`)).status).toBe(200);
    await eventually(() => room.taken === 0);
  });

  it("or breaks off a long answer, too; and one that breaks here is not taken for whole", async () => {
    await world.lift();
    await world.release();
    await world.giveKeys();
    const { selectJudgements } = world.stored;
    const { room } = world.opening.bounds;
    let asked = 0;
    world.stored = {
      ...world.stored,
      selectJudgements: (from, to) => {
        asked++;
        return selectJudgements(from, to, 1);
      },
    };
    const answer = await fetch(`${served.url}/log/judgements/0`);
    await answer.body?.cancel();
    await eventually(() => room.taken === 0);
    expect(await (await fetch(`${served.url}/log/judgements/0`)).text()).toMatch(/^null\n(\{.*\}\n)+$/);
    world.stored = {
      ...world.stored,
      selectJudgements: (from, to) => (from > 2 ? Promise.resolve([]) : selectJudgements(from, to, 1)),
    };
    await expect(fetch(`${served.url}/log/judgements/0`).then((cut) => cut.text())).rejects.toThrow();
    await eventually(() => room.taken === 0);
    expect(asked).toBeGreaterThan(1);
  });
});
