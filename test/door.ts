import { type Sample, sampleCommon, signSample } from "../shared/definition/sample.ts";
import type { Statement } from "../shared/statement/types.ts";

/** What the door answers to a statement: a problem's code, or the receipt's verdict. */
export interface DoorAnswer {
  status: number;
  code?: string;
  verdict?: "accepted" | "quarantined";
  findings?: { code: string }[];
  receipt?: string;
  index?: number;
}

/** Posts an envelope at a door, which waits so long for the receipt. */
export async function postAt(url: string, bytes: Uint8Array, wait_s = 5): Promise<DoorAnswer> {
  const type = bytes[0] === 0x7b ? "application/jose+json" : "application/jose";
  const headers = { "content-type": type, prefer: `wait=${wait_s}` };
  const response = await fetch(`${url}/v1/statements`, { method: "POST", headers, body: Buffer.from(bytes) });
  return { ...((await response.json()) as Omit<DoorAnswer, "status">), status: response.status };
}

/** The problem's code, or the verdict's, or the verdict where it has none; the status while there is no receipt yet. */
export function outcomeOf({ status, code, verdict, findings = [] }: DoorAnswer): string {
  if (code !== undefined) return code;
  if (status !== 201 || verdict === undefined) return String(status);
  return findings.length === 0 ? verdict : findings.map((finding) => finding.code).join(" ");
}

/** Signs what people say, each under the next sequence number of the first who signs. */
export function createSigning(sample: Sample) {
  const used = new Map<string, number>();
  return (statement: object, state: string, ...kids: [string, ...string[]]): Uint8Array => {
    const sequence = (used.get(kids[0]) ?? 0) + 1;
    used.set(kids[0], sequence);
    return signSample(sample, { ...sampleCommon(sample, state, sequence), ...statement } as Statement, ...kids);
  };
}
