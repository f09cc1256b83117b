import { beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition } from "../../../shared/definition/sample.ts";
import type { Release } from "../../../shared/formats/release.ts";
import { changesBetween } from "../../../shared/formats/release-changes.ts";
import { ChangesSchema, OneConstituency, OneState, StateList } from "../../../shared/formats/release-schema.ts";
import type { App } from "../../../shared/platform/http.ts";
import { appOf } from "../app-fixture.ts";
import { type MadeRelease, makeChain } from "../fixture.ts";
import { MAX_APART } from "./views.ts";

const sample = sampleDefinition();
const COUNT = MAX_APART + 2;
let chain: MadeRelease[];
let app: App;
beforeAll(async () => {
  chain = await makeChain(sample, COUNT);
  app = await appOf(sample, chain);
});

const releaseOf = (number: number) =>
  JSON.parse(Buffer.from(chain[number - 1]?.bytes ?? []).toString("utf8")) as Release;
const json = async (path: string) => (await app.request(path)).json() as Promise<unknown>;

describe("parts of a release", () => {
  it("are its states, one of them, and one of its constituencies, each with the release that it is of", async () => {
    const release = releaseOf(2);
    const list = StateList.parse(await json("/v1/releases/2/states"));
    expect(list.states.map(({ state, seats }) => ({ state, seats }))).toEqual(
      release.states.map(({ state, seats }) => ({ state, seats })),
    );
    for (const { state, url } of list.states) {
      const whole = release.states.find((each) => each.state === state);
      expect(url).toBe(`/v1/releases/2/states/${state}`);
      const one = OneState.parse(await json(url));
      expect(one).toEqual({
        release: {
          number: 2,
          sha256: chain[1]?.sha256,
          mode: release.mode,
          status: release.status,
          asOf: release.asOf,
        },
        state: whole,
      });
      for (const constituency of whole?.constituencies ?? []) {
        const path = `${url}/constituencies/${constituency.constituency}`;
        expect(OneConstituency.parse(await json(path))).toMatchObject({ state, constituency });
      }
    }
  });

  it("stay for ever under a number, and name it under latest", async () => {
    const fixed = await app.request("/v1/releases/2/states/AT");
    expect(fixed.headers.get("cache-control")).toContain("immutable");
    const latest = await app.request("/v1/releases/latest/states/AT");
    expect(latest.headers.get("cache-control")).toBe("public, max-age=1");
    expect(latest.headers.get("content-location")).toBe(`/v1/releases/${COUNT}/states/AT`);
    const tag = fixed.headers.get("etag") ?? "";
    expect((await app.request("/v1/releases/2/states/AT", { headers: { "if-none-match": tag } })).status).toBe(304);
  });

  it.each([
    "/v1/releases/2/states/XX",
    "/v1/releases/2/states/at",
    "/v1/releases/2/states/__proto__",
    "/v1/releases/2/states/AT/constituencies/LU",
    "/v1/releases/2/states/AT/constituencies/constructor",
    `/v1/releases/${COUNT + 1}/states`,
    "/v1/releases/0/states",
    "/v1/releases/1e1/states",
    "/v1/releases/01/changes",
  ])("%s is unknown, with words", async (path) => {
    const answer = await app.request(path);
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ code: "release.unknown" });
  });
});

describe("changes", () => {
  it("are those to the release before, unless another one is named", async () => {
    const expected = changesBetween([releaseOf(2), releaseOf(3)], false);
    expect(ChangesSchema.parse(await json("/v1/releases/3/changes"))).toEqual(expected);
    expect(await json("/v1/releases/3/changes?since=2")).toEqual(expected);
    const far = await json("/v1/releases/4/changes?since=1");
    expect(far).toEqual(changesBetween([1, 2, 3, 4].map(releaseOf), false));
    const first = ChangesSchema.parse(await json("/v1/releases/1/changes"));
    expect([first.from, first.to, first.union.before]).toEqual([0, 1, null]);
    const latest = await app.request("/v1/releases/latest/changes");
    expect(latest.headers.get("content-location")).toBe(`/v1/releases/${COUNT}/changes?since=${COUNT - 1}`);
  });

  it.each(["x", "-1", "0", "1e0", "01", "", "1&since=2"])("since=%s is malformed", async (since) => {
    const answer = await app.request(`/v1/releases/3/changes?since=${since}`);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: "request.malformed" });
  });

  it("are not asked over more releases than are opened at once", async () => {
    expect((await app.request(`/v1/releases/${COUNT}/changes?since=${COUNT - MAX_APART}`)).status).toBe(200);
    expect((await app.request(`/v1/releases/${COUNT}/changes?since=${COUNT - MAX_APART - 1}`)).status).toBe(404);
    for (const since of [3, 4, 10 ** 30])
      expect((await app.request(`/v1/releases/3/changes?since=${BigInt(since)}`)).status).toBe(404);
  });
});
