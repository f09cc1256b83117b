import { Agent, request } from "node:http";
import { request as requestTls } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { doorProblem, PinnedAgent, WrongDoor } from "./door.ts";

/** What came of a statement that was sent: a receipt, or a refusal at the door that sending again will not change. */
export type Outcome =
  | {
      kind: "receipt";
      index: number;
      verdict: "accepted" | "quarantined";
      findings: { code: string; unit?: string }[];
      receipt: string;
      statement: string;
    }
  | { kind: "refused"; status: number; code: string; detail: string };

export interface SubmitterOptions {
  /** https://, where the definition has pins; http:// on loopback only. */
  ingestUrl: string;
  /** The definition's pins of the door. */
  pins?: readonly string[] | undefined;
  /** The office's own address, where it has several. */
  localAddress?: string | undefined;
  /** Statements on their way at once. */
  inFlight: number;
  /** Gives up waiting for a door that stays shut after this long, ms. */
  patienceMs: number;
}

export interface Submitter {
  /**
   * Sends signed bytes until there is an answer that stands: the same bytes are never counted twice. Rejects with WrongDoor, and
   * sends nothing, when who answers there is another.
   */
  submit(bytes: Uint8Array): Promise<Outcome>;
  close(): void;
}

/** How long one answer may take: the door itself answers 202 after five seconds. */
const ANSWER_MS = 15_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

interface Answer {
  status: number;
  retryAfter: number | undefined;
  body: string;
}

/**
 * A client of `POST /v1/statements` that keeps its connections and holds back when it is told to. Throws TypeError for an address
 * that would show others what is sent, or could be anyone's.
 */
export function createSubmitter(options: SubmitterOptions): Submitter {
  const { ingestUrl, pins, localAddress, inFlight, patienceMs } = options;
  const url = new URL("/v1/statements", ingestUrl);
  const problem = doorProblem(url, pins);
  if (problem !== undefined) throw new TypeError(`${url.href}: ${problem}`);
  const kept = { keepAlive: true, maxSockets: inFlight, ...(localAddress === undefined ? {} : { localAddress }) };
  const agent = url.protocol === "https:" ? new PinnedAgent(pins ?? [], kept) : new Agent(kept);

  async function submit(bytes: Uint8Array): Promise<Outcome> {
    const end = performance.now() + patienceMs;
    let pause = FIRST_PAUSE_MS;
    for (;;) {
      const answer = await post(url, agent, bytes).catch((error: Error) => error);
      if (answer instanceof WrongDoor) throw answer;
      if (!(answer instanceof Error)) {
        const outcome = standing(answer);
        if (outcome !== undefined) return outcome;
      }
      if (performance.now() > end) {
        const last = answer instanceof Error ? answer.message : `status ${answer.status}`;
        throw new Error(`no receipt from ${url.href} within ${Math.round(patienceMs / 1000)} s (last: ${last})`);
      }
      const asked = answer instanceof Error ? undefined : answer.retryAfter;
      // Full jitter, so that 27 offices that were cut off together do not come back together.
      await sleep(Math.max((asked ?? 0) * 1000, pause * Math.random()));
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }
  return { submit, close: () => agent.destroy() };
}

/** The outcome that an answer settles; undefined when the same bytes are to be sent again. */
function standing({ status, body }: Answer): Outcome | undefined {
  if (status === 202 || status === 408 || status === 429 || status >= 500) return undefined;
  const answer = JSON.parse(body) as Record<string, unknown>;
  if (status === 201 || status === 200) return { kind: "receipt", ...answer } as Outcome;
  return { kind: "refused", status, code: String(answer.code), detail: String(answer.detail) };
}

function post(url: URL, agent: Agent, bytes: Uint8Array): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const type = bytes[0] === 0x7b ? "application/jose+json" : "application/jose";
    const headers = { "content-type": type, "content-length": bytes.length, prefer: "wait=5" };
    const send = url.protocol === "https:" ? requestTls : request;
    const sent = send(url, { method: "POST", agent, headers, timeout: ANSWER_MS }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const after = Number(response.headers["retry-after"]);
        resolve({
          status: response.statusCode ?? 0,
          retryAfter: Number.isFinite(after) ? after : undefined,
          body: Buffer.concat(chunks).toString("utf8"),
        });
      });
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer in time")));
    sent.on("error", reject);
    sent.end(bytes);
  });
}
