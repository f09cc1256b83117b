import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Provider } from "oidc-provider";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { builtPage } from "../infra/stack/page.ts";
import { createProvider } from "../services/watch/access/provider.ts";
import { SESSION_MS } from "../services/watch/access/sessions.ts";
import { watchOf } from "../services/watch/fixture.ts";
import { readShell } from "../services/watch/shell.ts";
import { type Served, serve } from "../shared/platform/http.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { useBrowser } from "./browser.ts";

/** Signing in at a real OpenID provider, in a real browser; and that a session ends though the page looks all the time. */

const browser = useBrowser();
const GROUPS: Record<string, string[]> = { ada: ["operators"], eva: ["viewers", "trustees"], joe: ["cleaners"] };

let issuer: Server;
let watch: ReturnType<typeof watchOf>;
let served: Served;

const listen = (server: Server) =>
  new Promise<string>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  });

/** A port that is free now: the provider must know where people come back to before watch is there. */
async function freePort(): Promise<number> {
  const server = createServer();
  const { port } = new URL(await listen(server));
  await new Promise((resolve) => server.close(resolve));
  return Number(port);
}

beforeAll(async () => {
  const port = await freePort();
  const self = `http://127.0.0.1:${port}`;
  issuer = createServer();
  const issuerUrl = await listen(issuer);
  const provider = new Provider(issuerUrl, {
    clients: [
      { client_id: "watch", client_secret: "a secret between the two of them", redirect_uris: [`${self}/auth/return`] },
    ],
    claims: { openid: ["sub"], profile: ["name", "groups"] },
    conformIdTokenClaims: false,
    ttl: { Session: 600, Grant: 600, AccessToken: 600, IdToken: 600, Interaction: 600 },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: id.toUpperCase(), groups: GROUPS[id] ?? [] }),
    }),
  });
  issuer.on("request", provider.callback());
  const shell = await readShell(await builtPage(() => undefined));
  const roles = { viewer: "viewers", operator: "operators", trustee: "trustees" };
  const settings = {
    issuer: issuerUrl,
    clientId: "watch",
    clientSecret: "a secret between the two of them",
    self,
    claim: "groups",
    roles,
  };
  watch = watchOf({}, { shell, access: { provider: createProvider(settings) } });
  served = await serve(watch.app, { host: "127.0.0.1", port, log: createHeardLog().log });
});
afterAll(async () => {
  await served.close();
  issuer.closeAllConnections();
  await new Promise((resolve) => issuer.close(resolve));
});

/** Through the provider's own pages, as a person: name, password, consent. */
async function signIn(page: Page, name: string): Promise<void> {
  await page.goto(served.url);
  await page.getByRole("link", { name: "Sign in with the provider" }).click();
  await page.locator("[name=login]").fill(name);
  await page.locator("[name=password]").fill("anything");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
}

/** A page of a browser of its own. The provider's example pages ask for a font of somebody else's: nothing leaves this machine. */
async function open(test: TestContext): Promise<Page> {
  const { page } = await browser.open(test, { refused: /\/v1\/live$|favicon/ });
  await page.context().route(/^https:/, (route) => route.fulfill({ contentType: "text/css", body: "" }));
  return page;
}

describe("signing in by OpenID Connect", () => {
  it.for<[string, string, string[]]>([
    ["ada", "ADA (ada), operator", ["Dashboard", "Incidents"]],
    ["eva", "EVA (eva), viewer, trustee", ["Dashboard", "Incidents", "Decisions"]],
  ])("lets %s in as %s", async ([name, who, pages], test) => {
    const page = await open(test);
    await signIn(page, name);
    await page.getByText(who).waitFor();
    expect(await page.getByRole("navigation").getByRole("link").allInnerTexts()).toEqual(pages);
    expect(await page.context().cookies()).toContainEqual(
      expect.objectContaining({ name: "scrutin-watch", httpOnly: true, sameSite: "Lax", expires: -1 }),
    );
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("link", { name: "Sign in with the provider" }).waitFor();
  });

  it("lets nobody in without a role, and says so", async (test) => {
    const page = await open(test);
    await signIn(page, "joe");
    await page.getByText("have no role here").waitFor();
    expect((await page.context().cookies()).map(({ name }) => name)).not.toContain("scrutin-watch");
  });

  it("takes no answer that it did not ask for, none twice, and none for another", async (test) => {
    const page = await open(test);
    for (const query of ["", "?code=x&state=y", "?error=access_denied&state=y"]) {
      await page.goto(`${served.url}/auth/return${query}`);
      expect(page.url()).toBe(`${served.url}/sign-in?why=late`);
    }
    const returns: string[] = [];
    page.on("request", (request) => {
      if (request.url().includes("/auth/return?code=")) returns.push(request.url());
    });
    await signIn(page, "ada");
    await page.getByText("ADA (ada)").waitFor();
    const other = await open(test);
    await other.goto(returns[0] ?? "");
    expect(other.url()).toBe(`${served.url}/sign-in?why=late`);
    // With a way of its own begun, and somebody else's answer: the state differs.
    await other.goto(served.url);
    await other.getByRole("link", { name: "Sign in with the provider" }).click();
    await other.locator("[name=login]").waitFor();
    await other.goto(returns[0] ?? "");
    expect(other.url()).toBe(`${served.url}/sign-in?why=refused`);
  });

  it("ends the session after a shift, though the page is live all the time", async (test) => {
    const page = await open(test);
    await signIn(page, "ada");
    await page.getByText("live").first().waitFor();
    watch.pass(SESSION_MS);
    watch.ring();
    await page.getByText("Your session is over").waitFor();
    expect(await page.locator("[data-promise]").count()).toBe(0);
  });
});
