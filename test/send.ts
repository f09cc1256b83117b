import { createHash, randomBytes } from "node:crypto";
import type { NatsConnection } from "nats";
import { sampleCommon, sampleTally, signSample } from "../shared/definition/sample.ts";
import { type Receipt, readReceipt } from "../shared/ledger/receipt.ts";
import type { Harness } from "./harness.ts";
import { collectReceipts, dataKeyFor, eventually, ledgerKeyOf, sealedFor } from "./ledger.ts";

/** An office of Austria, as far as the bus sees it: tally after tally of one unit, each with the next sequence and version. */
export interface Sender {
  /** Puts the next tally into the stream, and does not wait. Answers the SHA-256 of its bytes. */
  publish(): Promise<string>;
  /** The same, and waits for its receipt. */
  send(): Promise<Receipt>;
  receiptOf(sha256: string): Receipt | undefined;
}

export async function createSender(harness: Harness, bus: NatsConnection): Promise<Sender> {
  const { sample } = harness;
  const key = await dataKeyFor(sample);
  const reply = `receipt.${randomBytes(8).toString("hex")}`;
  const receipts = collectReceipts(bus, reply, key);
  let number = 0;
  const receiptOf = (sha256: string) => {
    const [text] = receipts.get(sha256) ?? [];
    return text === undefined ? undefined : readReceipt(text, ledgerKeyOf(sample));
  };
  const publish = async () => {
    number += 1;
    const tallies = [sampleTally("AT-2", { version: number })];
    const bytes = signSample(sample, { type: "tally", ...sampleCommon(sample, "AT", number), tallies }, "AT-1");
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const { headers, data } = sealedFor(key, sha256, bytes, reply);
    await bus.jetstream().publish("statement.AT", data, { headers });
    return sha256;
  };
  return {
    publish,
    receiptOf,
    async send() {
      const sha256 = await publish();
      await eventually(() => receipts.has(sha256));
      const receipt = receiptOf(sha256);
      if (receipt === undefined) throw new Error("the receipt does not verify");
      return receipt;
    },
  };
}
