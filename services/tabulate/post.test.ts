import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createHeardLog } from "../../shared/platform/log-fixture.ts";
import { eventually } from "../../test/ledger.ts";
import { createPoster } from "./post.ts";

describe("the poster", () => {
  let server: Server | undefined;
  afterEach(() => new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve()))));

  /** A door on loopback that answers with these, one after the other, and then with 201. */
  const door = async (...answers: { status: number; body: string }[]) => {
    const bodies: string[] = [];
    const types: (string | undefined)[] = [];
    server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        bodies.push(body);
        types.push(request.headers["content-type"]);
        const answer = answers.shift() ?? { status: 201, body: "{}" };
        response.writeHead(answer.status, { "content-type": "application/json", connection: "close" }).end(answer.body);
      });
    });
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    let nowMs = 0;
    let answered = 0;
    const { log, lines } = createHeardLog();
    const poster = createPoster({
      url: `http://127.0.0.1:${port}`,
      fetch,
      log,
      steadyMs: () => nowMs,
      answered: () => {
        answered++;
      },
    });
    return { poster, bodies, types, lines, answered: () => answered, later: (ms: number) => (nowMs += ms) };
  };

  it("sends the same bytes again only after a while, and others at once", async () => {
    const { poster, bodies, types, answered, later } = await door();
    poster.post("one");
    poster.post("one"); // on its way
    poster.post("two"); // one at a time
    await eventually(() => answered() === 1);
    poster.post("one");
    expect(bodies).toEqual(["one"]);
    poster.post("two");
    await eventually(() => answered() === 2);
    later(499);
    poster.post("two");
    later(1);
    poster.post("two");
    await eventually(() => answered() === 3);
    expect(bodies).toEqual(["one", "two", "two"]);
    expect(types[0]).toBe("application/jose+json");
  });

  it("says what the door answered when it refuses, and that it is away; never what a receipt says", async () => {
    const { poster, lines, answered, later } = await door(
      { status: 503, body: '{"code":"service.busy"}' },
      { status: 201, body: '{"verdict":"accepted"}' },
      { status: 500, body: "not json" },
    );
    for (let n = 1; n <= 3; n++) {
      poster.post("one");
      await eventually(() => answered() === n);
      later(1_000);
    }
    expect(lines.map(({ msg, code }) => [msg, code])).toEqual([
      ["the door refused our statement", "service.busy"],
      ["the door did not take our statement", undefined],
    ]);
    expect(JSON.stringify(lines)).not.toContain("accepted");
    await new Promise<void>((resolve) => server?.close(() => resolve()));
    server = undefined;
    poster.post("one");
    await eventually(() => answered() === 4);
    expect(lines.at(-1)).toMatchObject({ msg: "the door did not take our statement" });
  });
});
