import { createHash, randomBytes } from "node:crypto";
import type { NatsConnection } from "nats";
import { type Sample, sampleCommon, sampleTally, signSample } from "../shared/definition/sample.ts";
import { type Receipt, readReceipt } from "../shared/ledger/receipt.ts";
import { type DataKey, open } from "../shared/platform/seal.ts";
import type { Harness } from "./harness.ts";
import { collectReceipts, dataKeyFor, eventually, ledgerKeyOf, sealedFor } from "./ledger.ts";

/** What a door does on the bus, for bytes that have not passed one. */
export interface Wire {
  /** Puts a statement into the stream, and does not wait. Answers the SHA-256 of its bytes. */
  publish(bytes: Uint8Array, state?: string): Promise<string>;
  /** The same, and waits for its receipt: as it came. */
  send(bytes: Uint8Array, state?: string): Promise<string>;
  /** The receipt of a statement that is in the log already; only on a connection as `ingest`. */
  ask(bytes: Uint8Array, timeoutMs?: number): Promise<string>;
  /** The first receipt that came for these bytes, by their SHA-256. */
  receiptOf(sha256: string): string | undefined;
}

/** `made` instead of a data key that is wrapped as a door does it. */
export async function openWire(sample: Sample, bus: NatsConnection, made?: DataKey): Promise<Wire> {
  const key = made ?? (await dataKeyFor(sample));
  const reply = `receipt.${randomBytes(8).toString("hex")}`;
  const receipts = collectReceipts(bus, reply, key);
  const receiptOf = (sha256: string) => receipts.get(sha256)?.[0];
  const wrap = (bytes: Uint8Array) => {
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return { sha256, ...sealedFor(key, sha256, bytes, reply) };
  };
  const publish = async (bytes: Uint8Array, state = "AT") => {
    const { sha256, headers, data } = wrap(bytes);
    await bus.jetstream().publish(`statement.${state}`, data, { headers });
    return sha256;
  };
  return {
    publish,
    receiptOf,
    async send(bytes, state) {
      const sha256 = await publish(bytes, state);
      await eventually(() => receipts.has(sha256));
      return receiptOf(sha256) ?? "";
    },
    async ask(bytes, timeoutMs = 5_000) {
      const { sha256, headers, data } = wrap(bytes);
      const answer = await bus.request("ledger.ask", data, { headers, timeout: timeoutMs });
      return Buffer.from(open(key.key, "receipt", sha256, answer.data)).toString("ascii");
    },
  };
}

/** The id of the key that a receipt names, whoever signed it. */
export function kidOf(receipt: string): string {
  return (JSON.parse(Buffer.from(receipt.split(".")[0] ?? "", "base64url").toString("utf8")) as { kid: string }).kid;
}

/** Rejects a receipt that the sample's first ledger did not sign. */
function verified(sample: Sample, text: string): Receipt {
  const receipt = readReceipt(text, ledgerKeyOf(sample));
  if (receipt === undefined) throw new Error("the receipt does not verify");
  return receipt;
}

/** As by a door that lets everything in: straight into the stream. The codes of the ledger's verdict. */
export async function pastTheDoor(harness: Harness, bytes: Uint8Array, state: string): Promise<string> {
  const { sample } = harness;
  const wire = await openWire(sample, await harness.nats("ingest"));
  const { findings } = verified(sample, await wire.send(bytes, state));
  return findings.map(({ code }) => code).join(" ");
}

/** An office of Austria, as far as the bus sees it: tally after tally of one unit, each with the next sequence and version. */
export interface Sender {
  /** Puts the next tally into the stream, and does not wait. Answers the SHA-256 of its bytes. */
  publish(): Promise<string>;
  /** The same, and waits for its receipt. */
  send(): Promise<Receipt>;
  receiptOf(sha256: string): Receipt | undefined;
}

export async function createSender({ sample }: Harness, bus: NatsConnection): Promise<Sender> {
  const wire = await openWire(sample, bus);
  let number = 0;
  const next = () => {
    number += 1;
    const tallies = [sampleTally("AT-2", { version: number })];
    return signSample(sample, { type: "tally", ...sampleCommon(sample, "AT", number), tallies }, "AT-1");
  };
  return {
    publish: () => wire.publish(next()),
    send: async () => verified(sample, await wire.send(next())),
    receiptOf(sha256) {
      const text = wire.receiptOf(sha256);
      return text === undefined ? undefined : readReceipt(text, ledgerKeyOf(sample));
    },
  };
}
