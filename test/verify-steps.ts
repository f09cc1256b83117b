import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, type TestContext } from "vitest";
import { type OpenOptions, useBrowser } from "./browser.ts";
import { AT, startVerifyWorld, type VerifyWorld } from "./verify-world.ts";

/** What a visitor of the verification page does, and what the page then shows. */

/** A browser and a world for a test file; the world tells the truth again after each test. `world` is there within tests. */
export function useVerifyPage() {
  // A name that is not loopback: on plain http the browser keeps its cryptography from such a page.
  const browser = useBrowser({ args: ["--host-resolver-rules=MAP plain.example 127.0.0.1"] });
  let world: VerifyWorld;
  beforeAll(async () => {
    world = await startVerifyWorld();
  });
  afterEach(() => {
    world.lies.clear();
    world.lifted = true;
    world.size = AT.last + 1;
  });
  afterAll(() => world?.close());
  return {
    browser,
    world: () => world,
    hashOf: (index: number) => world.log.entries[index]?.statement ?? "",
    async openPage(test: TestContext, options: OpenOptions = {}) {
      const opened = await browser.open(test, options);
      await opened.page.goto(`${world.url}/verify`);
      await opened.page.getByText("Nothing verified yet.").waitFor();
      return opened;
    },
  };
}

/** What runs in the page is text here: this project's types know no browser. */
const transferOf = (bytes: number[], name: string) => `(() => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(${JSON.stringify(bytes)})], ${JSON.stringify(name)}));
  return transfer;
})()`;

/** Drops a file on the page as a file manager does. */
export async function drop(page: Page, content: string | Uint8Array, name = "entry.tlog-proof"): Promise<void> {
  const data = await page.evaluateHandle(transferOf([...Buffer.from(content)], name));
  await page.dispatchEvent("#drop", "dragover", { dataTransfer: data });
  await page.dispatchEvent("#drop", "drop", { dataTransfer: data });
}

/** Asks for a statement by its hash, and gives what is found. */
export async function askFor(page: Page, hash: string): Promise<Awaited<ReturnType<typeof found>>> {
  await page.getByLabel(/SHA-256/).fill(hash);
  await page.keyboard.press("Enter");
  return found(page, `statement ${hash.slice(0, 8)}…`);
}

export const NINE = [
  "The definition",
  "The proof",
  "The checkpoint",
  "The entry",
  "The witnesses",
  "The log of today",
  "The statement",
  "The verdict",
  "The release",
];

/** The summary about a file or a statement once it is there, and the state of each line by its title. */
export async function found(page: Page, about = ""): Promise<{ summary: string; states: Record<string, string> }> {
  const summary = page.locator("#summary");
  // Neither a summary of what was asked before, nor the word that the checks are being made.
  await summary.filter({ hasText: about === "" ? /hold|checked/ : `${about}: ` }).waitFor();
  const lines = await page.locator("#checks > li h3").allInnerTexts();
  const states = lines.map((line) => line.replace(/^\S /, "").split(": ") as [string, string]);
  return { summary: await summary.innerText(), states: Object.fromEntries(states) };
}

/** All lines hold but these. */
export function allBut(others: Record<string, string>): Record<string, string> {
  return { ...Object.fromEntries(NINE.map((title) => [title, "holds"])), ...others };
}

export const line = (page: Page, title: string) =>
  page.locator("#checks > li").filter({ has: page.getByRole("heading", { name: title }) });
