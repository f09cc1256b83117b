import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Answer, Client } from "../../shared/platform/publisher/client.ts";
import { encodeSealedCopy } from "../../shared/platform/sealed-copy.ts";
import { type OutFolder, openFolder, SEALED } from "./folder.ts";
import { createHeld } from "./held.ts";

/** A sealed copy that comes when its release is already there: a slow line, a fast lift. */

let root = "";
let folder: OutFolder;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "scrutin-held-"));
  folder = await openFolder(root);
});
afterAll(() => rm(root, { recursive: true, force: true }));

const copy = (number: number): Answer => {
  const sealed = { number, size: 7, candidate: new Uint8Array(9), answer: new Uint8Array(9) };
  const body = Buffer.from(encodeSealedCopy(sealed));
  return { status: 200, body, problem: undefined, location: undefined };
};

function begin() {
  let answer: (answer: Answer) => void = () => undefined;
  const client: Client = {
    get: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
    close: () => undefined,
  };
  const held = createHeld({
    client,
    signer: { kid: "parliament-1", privateKey: generateKeyPairSync("ed25519").privateKey },
    definition: "0".repeat(64),
    folder,
    say: () => undefined,
    refuse: (discrepancy) => {
      throw discrepancy;
    },
    signal: new AbortController().signal,
    now: () => 0,
  });
  return { held, answer: (with_: Answer) => answer(with_) };
}

it("a copy of a release that was taken meanwhile is not kept", async () => {
  const { held, answer } = begin();
  const looking = held.look();
  await held.drop(3);
  answer(copy(3));
  await looking;
  expect(held.find({ number: 3, size: 7 })).toBeUndefined();
  expect(await folder.read(SEALED)).toBeUndefined();
});

it("nor one whose release is taken while it is written", async () => {
  const { held, answer } = begin();
  const looking = held.look();
  answer(copy(3));
  await Promise.all([looking, Promise.resolve().then(() => held.drop(3))]);
  expect(await folder.read(SEALED)).toBeUndefined();
});

it("one of a release that is still to come is", async () => {
  const { held, answer } = begin();
  const looking = held.look();
  await held.drop(2);
  answer(copy(3));
  await looking;
  expect(held.find({ number: 3, size: 7 })).toBeDefined();
  expect(await folder.read(SEALED)).toEqual(copy(3).body);
});
