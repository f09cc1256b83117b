import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { watchOf } from "../fixture.ts";
import { type Role, SESSION_MS } from "./sessions.ts";

/** Every route, asked by everybody, against the table that is written down for people. A route without a line in it fails. */

const README = readFileSync(fileURLToPath(new URL("../README.md", import.meta.url)), "utf8");

/** `GET /v1/status` → the roles that may; from the table of the page. */
const written = new Map(
  [...README.matchAll(/^\| `(GET|POST) ([^`]+)` \| ([a-z, ]+) \|/gm)].map(([, method, path, who]) => [
    `${method} ${path}`,
    (who as string).split(", "),
  ]),
);

const watch = watchOf({});
const routes = [
  ...new Set(watch.app.routes.filter(({ method }) => method !== "ALL").map(({ method, path }) => `${method} ${path}`)),
];
const EVERYBODY = "anyone";
const ASKED: Role[] = ["viewer", "operator", "trustee"];

const concrete = (path: string) =>
  path
    .replace(":state", "AT")
    .replace(":name", "none.js")
    .replace(":code", "statement.malformed")
    .replace(/:[a-z]+/g, "x");

/** Whether the door was opened: not what lies behind it, which may be nothing, or refuse for another reason. */
async function isLetIn(route: string, headers: Record<string, string>): Promise<boolean> {
  const [method = "", path = ""] = route.split(" ");
  const answer = await watch.app.request(concrete(path), {
    method,
    headers,
    ...(method === "POST" ? { body: "{}" } : {}),
  });
  if (answer.headers.get("content-type") === "text/event-stream") await answer.body?.cancel();
  if (answer.status !== 401 && answer.status !== 403) return true;
  const { code } = (await answer.json()) as { code: string };
  return !["session.missing", "session.role", "session.foreign"].includes(code);
}

describe("the matrix of the page", () => {
  it("has a line for every route, and for none that there is not", () => {
    expect(routes.length).toBeGreaterThan(20);
    expect([...written.keys()].sort()).toEqual([...routes].sort());
  });

  it.each(routes)("%s lets in whom it says, and nobody else", async (route) => {
    const who = written.get(route) ?? [];
    expect(await isLetIn(route, {}), "without a session").toBe(who.includes(EVERYBODY));
    for (const role of ASKED)
      expect(await isLetIn(route, watch.signIn(role)), role).toBe(who.includes(EVERYBODY) || who.includes(role));
    expect(await isLetIn(route, watch.script), "a script").toBe(who.includes(EVERYBODY) || who.includes("script"));
    const left = watch.signIn("viewer", "operator", "trustee");
    watch.pass(SESSION_MS);
    expect(await isLetIn(route, left), "after the shift").toBe(who.includes(EVERYBODY));
  });

  it.each(routes.filter((route) => route.startsWith("POST") && !written.get(route)?.includes(EVERYBODY)))(
    "%s takes nothing from another page",
    async (route) => {
      const own = watch.signIn("viewer", "operator", "trustee");
      const { cookie = "", "scrutin-csrf": csrf = "" } = own;
      expect(await isLetIn(route, { cookie })).toBe(false);
      expect(await isLetIn(route, { cookie, "scrutin-csrf": `${csrf}x` })).toBe(false);
      expect(await isLetIn(route, { ...own, "sec-fetch-site": "cross-site" })).toBe(false);
      expect(await isLetIn(route, { ...own, "sec-fetch-site": "same-origin" })).toBe(true);
    },
  );

  it("a role of the provider that is none of ours opens nothing", async () => {
    expect(await isLetIn("GET /v1/incidents", watch.signIn())).toBe(false);
  });
});
