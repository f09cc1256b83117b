import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { builtPage } from "../infra/stack/page.ts";
import type { Child } from "../infra/stack/processes.ts";
import type { Status } from "../services/watch/status.ts";
import { useBrowser } from "./browser.ts";
import { type Harness, startHarness, watchHeaders } from "./harness.ts";
import { eventually } from "./ledger.ts";

/** Trustees decide on the operators' page: signed in the browser, with keys that never leave it. */

const browser = useBrowser();
const LINK = randomBytes(24).toString("base64url");
let harness: Harness;
let watch: Child;
let release: Child;
let sent: string[] = [];

const keyFile = (kid: string) => join(harness.folder, `${kid}.jwk.json`);
const statusOf = async () =>
  (await (await fetch(`${watch.url}/v1/status`, { headers: watchHeaders })).json()) as Status;
const reasons = async () =>
  (await statusOf()).gate.reasons.map(({ code, ...more }) => ("state" in more ? `${code} ${more.state}` : code));

beforeAll(async () => {
  harness = await startHarness();
  for (const kid of ["trustee-1", "trustee-2", "AT-1"])
    await writeFile(keyFile(kid), JSON.stringify(harness.sample.keys.get(kid)?.jwk));
  const [ledger, ingest] = await Promise.all([harness.start("ledger"), harness.start("ingest")]);
  release = await harness.start("release");
  const link = join(harness.folder, "watch.link");
  await writeFile(link, LINK, { mode: 0o600 });
  watch = await harness.start("watch", {
    SCRUTIN_SERVICES: JSON.stringify({ ledger: ledger.url, ingest: ingest.url, release: release.url }),
    SCRUTIN_LINK_FILE: link,
    SCRUTIN_PAGE_FOLDER: await builtPage(() => undefined),
  });
});
afterAll(() => harness?.close());

let state: Awaited<ReturnType<ReturnType<Page["context"]>["storageState"]>> | undefined;

/** The page of decisions with a trustee's key in it. What it sends is kept. */
async function decide(test: TestContext, kid: string): Promise<Page> {
  const { page } = await browser.open(test, {
    refused: /\/v1\/(live|decisions)/,
    ...(state && { storageState: state }),
  });
  page.on("request", (request) => sent.push(`${request.url()} ${request.postData() ?? ""}`));
  if (state === undefined) {
    await page.goto(`${watch.url}/sign-in#${LINK}`);
    await page.getByRole("heading", { name: "1. Nothing unsigned gets in" }).waitFor();
    state = await page.context().storageState();
  }
  await page.goto(`${watch.url}/decisions`);
  await page.getByLabel("The file of your key").setInputFiles(keyFile(kid));
  return page;
}

const write = async (page: Page, decision: string, about: string, reason: string) => {
  await page.getByLabel("Decision").selectOption(decision);
  await page.getByLabel("About").selectOption(about);
  await page.getByLabel("Reason, for the public log").fill(reason);
  await page.getByRole("button", { name: "Sign it here" }).click();
};

describe("a trustee's decision on the page", () => {
  it("holds the Union with one signature, and what is sent holds no secret", async (test) => {
    sent = [];
    const page = await decide(test, "trustee-1");
    await page.getByText("The key is trustee-1.").waitFor();
    await write(page, "hold", "EU", "Two counts look exchanged");
    await page.getByText('"about": "EU"').waitFor();
    await page.getByRole("button", { name: "Send it" }).click();
    await page.getByText("The door answers 201").waitFor();
    await eventually(async () => (await reasons()).includes("hold.union"));
    const d = String(harness.sample.keys.get("trustee-1")?.jwk.d);
    expect(d).toHaveLength(43);
    expect(sent.some((each) => each.includes("/v1/decisions "))).toBe(true);
    expect(sent.filter((each) => each.includes(d))).toEqual([]);
  });

  it("resumes with two, the second of whom signs what the first has saved", async (test) => {
    const first = await decide(test, "trustee-1");
    await write(first, "resume", "EU", "Checked with both offices");
    expect(await first.getByRole("button", { name: "Send it" }).count()).toBe(0);
    const downloading = first.waitForEvent("download");
    await first.getByRole("link", { name: "Save it for the second trustee" }).click();
    const saved = join(harness.folder, "resume.json");
    await (await downloading).saveAs(saved);
    const second = await decide(test, "trustee-2");
    await second.getByLabel("Or load what another trustee has signed").setInputFiles(saved);
    await second.getByText("Signed by trustee-1.").waitFor();
    await second.getByRole("button", { name: "Sign it too" }).click();
    await second.getByText("Signed by trustee-1, trustee-2.").waitFor();
    await second.getByRole("button", { name: "Send it" }).click();
    await second.getByText("The door answers 201").waitFor();
    await eventually(async () => !(await reasons()).includes("hold.union"));
  });

  it("is nothing with a key that is no trustee's, and says why", async (test) => {
    const page = await decide(test, "AT-1");
    await write(page, "hold", "EU", "An office would like that");
    await page.getByRole("button", { name: "Send it" }).click();
    await page.getByText(/The door answers 4\d\d/).waitFor();
    expect(await reasons()).not.toContain("hold.union");
  });

  it("takes no file for a key that is none", async (test) => {
    const page = await decide(test, "trustee-1");
    await page
      .getByLabel("The file of your key")
      .setInputFiles({ name: "x.json", mimeType: "application/json", buffer: Buffer.from('{"kty":"OKP"}') });
    await page.getByText("This file is no private Ed25519 key").waitFor();
  });
});
