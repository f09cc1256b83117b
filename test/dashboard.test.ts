import { mkdtemp, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Night, prepareNight } from "../infra/stack/run-night.ts";
import type { Status } from "../services/watch/status.ts";
import { doorFetch } from "../shared/platform/door.ts";
import { useBrowser } from "./browser.ts";
import { eventually } from "./ledger.ts";

/**
 * The dashboard while a night goes on, in a real browser: what an operator sees before, at and after the lift, and does about an incident. The
 * screenshots stay in a folder that is printed.
 */

const browser = useBrowser();
const WIDTHS = {
  wall: { width: 2560, height: 1440 },
  desktop: { width: 1440, height: 900 },
  phone: { width: 390, height: 844 },
};
const NIGHT_MS = 180_000;

let night: Night;
let shots = "";
let axe = "";
beforeAll(async () => {
  shots = await mkdtemp(join(tmpdir(), "scrutin-dashboard-"));
  axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  night = await prepareNight({
    full: false,
    speed: 1.5,
    seed: 3,
    say: () => undefined,
    out: process.stdout,
    signal: new AbortController().signal,
  });
});
afterAll(() => night?.stop());

/** At every width, light and dark. */
async function shoot(page: Page, name: string): Promise<void> {
  for (const [width, size] of Object.entries(WIDTHS)) {
    await page.setViewportSize(size);
    // Nothing but a table of its own scrolls sideways.
    const fits = () => page.evaluate("document.documentElement.scrollWidth <= innerWidth");
    await expect.poll(fits, { message: `${name} at ${width}` }).toBe(true);
    await page.screenshot({ path: join(shots, `${name}-${width}.png`) });
  }
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize(WIDTHS.desktop);
  await page.screenshot({ path: join(shots, `${name}-dark.png`) });
}

interface Found {
  violations: { id: string; impact: string | null; nodes: { html: string }[] }[];
}

/** What the rules of WCAG 2 find that is serious, in both schemes. */
async function accessible(page: Page, name: string): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(axe);
    const { violations } = (await page.evaluate("axe.run()")) as Found;
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    expect(
      serious.map(({ id, nodes }) => [id, nodes[0]?.html]),
      `${name}, ${colorScheme}`,
    ).toEqual([]);
  }
}

const lights = (page: Page) =>
  page.locator("[data-light]").evaluateAll((all) => all.map((one) => one.getAttribute("data-light")));
const row = (page: Page, state: string) => page.locator(`tr[data-state="${state}"]`);

it("shows a night from before the lift to its end, and an incident from its cause to its close", {
  timeout: NIGHT_MS,
}, async (test) => {
  const { stack } = night;
  const origin = stack.addresses.watch;
  // What is not there yet, and not for whoever has not signed in: Chromium writes such answers to the console.
  const { page, requests } = await browser.open(test, { refused: /\/v1\/(live|session)$/ });
  const running = night.run();
  running.catch(() => undefined); // told where it is awaited

  await page.goto(stack.signIn);
  await page.getByRole("heading", { name: "1. Nothing unsigned gets in" }).waitFor();
  expect(page.url()).toBe(`${origin}/`);
  expect(await page.title()).toBe("EXERCISE: Watch – Scrutin watch");
  expect(await page.locator("[data-embargo]").getAttribute("data-embargo")).toBe("in-force");
  expect(await page.locator(".reasons li").count()).toBeGreaterThan(2);
  expect(await page.locator("tr[data-state]").count()).toBe(27);
  expect(await page.locator("g[data-state]:not([data-tone=absent])").count()).toBe(27);
  await row(page, "NL").getByText("closed").waitFor();
  await expect.poll(() => lights(page)).toEqual(["kept", "kept", "kept", "kept"]);
  // No figure of the count: of what is decided, nothing stands anywhere on the page.
  expect(await page.locator("main").innerText()).not.toMatch(/turnout|votes|seats|accepted|ballots/i);
  await shoot(page, "before");
  await accessible(page, "before");

  // Somebody forges signatures under an office's key: it is on the page within ten seconds.
  const ingest = stack.addresses.ingest;
  const { door } = JSON.parse(await readFile(stack.definitionFile, "utf8")) as { door?: { pins: string[] } };
  const post = doorFetch(ingest, door?.pins);
  const head = Buffer.from(JSON.stringify({ alg: "EdDSA", kid: "DE-1", typ: "scrutin+jws" })).toString("base64url");
  const forged = `${head}.${Buffer.from("{}").toString("base64url")}.${"A".repeat(86)}`;
  const begun = Date.now();
  for (let n = 0; n < 12; n++)
    await post(new URL("/v1/statements", ingest), {
      method: "POST",
      body: forged,
      headers: { "content-type": "application/jose" },
    });
  const listed = page.locator(".incident-list li", { hasText: "signature.burst key DE-1" });
  await listed.waitFor({ timeout: 10_000 });
  expect(Date.now() - begun).toBeLessThan(10_000);
  await expect.poll(() => lights(page)).toEqual(["doubted", "kept", "kept", "kept"]);
  await listed.getByRole("link").click();
  await page.getByText("Many statements under one key").first().waitFor();
  await page.getByRole("heading", { name: "How it is noticed" }).waitFor();
  await page.getByRole("button", { name: "Acknowledge" }).click();
  await page.getByText("It is acknowledged by operator of the exercise").waitFor();
  await page.getByLabel("What you found, or why").fill("A drill of the night's own test");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByText("It is explained by").waitFor();
  await shoot(page, "incident");
  await accessible(page, "incident");
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByText("It is closed by").waitFor();

  // At the lift, and after it: by keyboard alone back to the dashboard.
  await page.getByRole("link", { name: "Dashboard" }).focus();
  await page.keyboard.press("Enter");
  await page.locator("[data-embargo=lifted]").waitFor({ timeout: 60_000 });
  await shoot(page, "lift");
  await running;
  await page.getByText("what is shown is what was released").waitFor();
  await page.getByText(/recounted every release up to \d+ from the public log/).waitFor({ timeout: 60_000 });
  await row(page, "RO").getByText("reporting").waitFor();
  await shoot(page, "after");
  await accessible(page, "after");

  await page.goto(`${origin}/states/RO`);
  await page.locator(".chart canvas").waitFor();
  await shoot(page, "state");
  await accessible(page, "state");

  // Whole again after a cut.
  const { services } = stack;
  services.get("watch")?.kill("SIGKILL");
  await page.locator("[data-line=cut], [data-line=over], [data-line=connecting]").first().waitFor();
  await eventually(async () => (await fetch(`${origin}/healthz`).catch(() => undefined))?.ok === true);
  await page.getByRole("heading", { name: "Sign in" }).first().waitFor({ timeout: 30_000 }); // a restart signs everybody out
  await shoot(page, "sign-in");
  await accessible(page, "sign-in");

  // An honest night raises nothing but what is in the data, and what was done to it here.
  const token = (await readFile(stack.watchToken, "utf8")).trim();
  const status = (await (
    await fetch(`${origin}/v1/status`, { headers: { authorization: `Bearer ${token}` } })
  ).json()) as Status;
  expect(status.incidents.map(({ code, about }) => `${code} ${about}`).sort()).toEqual([
    "signature.burst address 127.0.0.1",
    "signature.burst key DE-1",
  ]);
  for (const url of requests) expect(new URL(url).origin).toBe(origin);
  console.info(`screenshots of the dashboard: ${shots}`);
});
