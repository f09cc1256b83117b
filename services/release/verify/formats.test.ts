import { type KeyObject, sign } from "node:crypto";
import fc from "fast-check";
import nacl from "tweetnacl";
import { describe, expect, it } from "vitest";
import { sampleCommon, sampleDefinition, sampleTally, signSample } from "../../../shared/definition/sample.ts";
import {
  checkpointText,
  noteSignatureLine,
  readCheckpoint,
  splitNote,
  verifierKey,
} from "../../../shared/ledger/checkpoint.ts";
import { cosign, verifyCosignatures } from "../../../shared/ledger/cosignature.ts";
import { canonical } from "../../../shared/ledger/entry.ts";
import { encodeProof, readProof } from "../../../shared/ledger/proof.ts";
import { importVerifyKey, type VerifyKey } from "../../../shared/statement/ed25519.ts";
import { parseStrict } from "../../../shared/statement/json.ts";
import { openEnvelope } from "../../../shared/statement/jws.ts";
import { change, hex, load } from "./fixture.ts";

/** The page's readers, which run in Node unchanged, take what shared/ takes and refuse what it refuses. */

interface Note {
  text: string;
  lines: { name: string; id: Uint8Array; signature: Uint8Array }[];
}
const note = (await load("note.js")) as {
  readNote(note: string): Note | undefined;
  verifierKey(name: string, key: Uint8Array): Promise<string>;
  readCheckpoint(
    note: string,
    terms: { origin: string; publicKey: Uint8Array; nacl: unknown },
  ): Promise<{ why?: string; size?: number; root?: Uint8Array }>;
  verifyCosignatures(
    note: Note,
    witnesses: { name: string; publicKey: Uint8Array }[],
    library: typeof nacl,
  ): Promise<{ name: string; state: string; seconds?: number }[]>;
};
const proof = (await load("proof.js")) as {
  readProof(text: string): {
    why?: string;
    index?: number;
    hashes?: Uint8Array[];
    extra?: Uint8Array;
    checkpoint?: string;
  };
  readEntry(bytes: Uint8Array): unknown;
};
const statement = (await load("statement.js")) as {
  readStatement(
    bytes: Uint8Array,
  ): { text: string; signatures: { kid: string; signed: Uint8Array; signature: Uint8Array }[] } | undefined;
};

interface Pair {
  privateKey: KeyObject;
  raw: Uint8Array;
  key: VerifyKey;
}
const sample = sampleDefinition();
const [log, one, two] = ["ledger-1", "trustee-1", "trustee-2"].map((id) => {
  const { privateKey, publicRaw: raw } = sample.keys.get(id)!;
  return { privateKey, raw, key: importVerifyKey(raw)! };
}) as [Pair, Pair, Pair];
const ORIGIN = "results.example.eu/log";

const root = Buffer.alloc(32, 7);
const text = checkpointText(ORIGIN, 1234, root);
const logLine = noteSignatureLine(ORIGIN, log.raw, sign(null, Buffer.from(text), log.privateKey));
const witnesses = [
  { name: "one.example", pair: one },
  { name: "two.example", pair: two },
];
const cosigned = (n: number, seconds: number) => {
  const { name, pair } = witnesses[n] as { name: string; pair: Pair };
  return cosign(text, { name, raw: pair.raw, seconds, sign: (signed) => sign(null, signed, pair.privateKey) });
};
const lines = [logLine, await cosigned(0, 1_717_966_800), await cosigned(1, 1_717_966_801)];
const whole = `${text}\n${lines.join("")}`;

describe("note.js", () => {
  it("reads notes, checkpoints and cosignatures as shared/ledger does", async () => {
    const [heads, times]: [number[], number[]] = [[], []];
    const order = fc.shuffledSubarray([...lines, logLine, lines[1] as string, `— ${ORIGIN} AAAAAAAA\n`], {
      minLength: 1,
    });
    const made = fc.tuple(
      fc.oneof(fc.constant(lines), order),
      fc.oneof({ arbitrary: fc.constant((same: string) => same), weight: 2 }, change),
    );
    await fc.assert(
      fc.asyncProperty(made, async ([chosen, changed]) => {
        const written = changed(`${text}\n${chosen.join("")}`);
        const split = splitNote(written);
        const read = note.readNote(written);
        expect(read?.text).toBe(split?.text);
        expect(read?.lines.map((line) => [line.name, hex(line.id), hex(line.signature)])).toEqual(
          split?.lines.map((line) => [line.name, hex(line.id), hex(line.signature)]),
        );
        const head = readCheckpoint(written, { origin: ORIGIN, publicKey: log.key });
        const theirs = await note.readCheckpoint(written, { origin: ORIGIN, publicKey: new Uint8Array(log.raw), nacl });
        expect([theirs.why === undefined, theirs.size, hex(theirs.root)]).toEqual([
          head !== undefined,
          head?.size,
          hex(head?.root),
        ]);
        heads.push(Number(head !== undefined));
        if (read === undefined) return;
        const known = witnesses.map(({ name, pair }) => ({ name, publicKey: pair.key }));
        const seen = await note.verifyCosignatures(
          read,
          witnesses.map(({ name, pair }) => ({ name, publicKey: new Uint8Array(pair.raw) })),
          nacl,
        );
        const found = seen
          .filter(({ state }) => state === "cosigned")
          .map(({ name, seconds }) => ({ name, time: seconds }));
        expect(found).toEqual(verifyCosignatures(written, known));
        times.push(found.length);
      }),
      { numRuns: 80 },
    );
    expect([new Set(heads), new Set(times)]).toEqual([new Set([0, 1]), new Set([0, 1, 2])]);
  });

  it("tells a witness that is absent from one whose line is broken", async () => {
    const raw = witnesses.map(({ name, pair }) => ({ name, publicKey: new Uint8Array(pair.raw) }));
    const forged = (await cosigned(1, 5)).replace(/.{8}\n$/, "AAAAAA==\n");
    const states = async (...rows: string[]) =>
      (await note.verifyCosignatures(note.readNote(`${text}\n${logLine}${rows.join("")}`) as Note, raw, nacl)).map(
        ({ state }) => state,
      );
    expect(await states()).toEqual(["absent", "absent"]);
    expect(await states(lines[1] as string, forged)).toEqual(["cosigned", "broken"]);
    expect(await states(forged, lines[2] as string)).toEqual(["absent", "cosigned"]);
  });

  it("writes the verifier key that shared/ledger writes", async () => {
    expect(await note.verifierKey(ORIGIN, log.raw)).toBe(verifierKey(ORIGIN, log.raw));
  });
});

describe("proof.js", () => {
  it("reads proof files as shared/ledger does", () => {
    let read = 0;
    const made = fc.record({
      index: fc.nat(),
      hashes: fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 66 }),
      extra: fc.option(fc.uint8Array({ maxLength: 30 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(made, change, ({ index, hashes, extra }, changed) => {
        const written = changed(encodeProof({ index, hashes, checkpoint: whole, ...(extra && { extra }) }));
        const theirs = readProof(written);
        const { why, ...found } = proof.readProof(written);
        expect(why === undefined).toBe(theirs !== undefined);
        if (theirs === undefined) return;
        read++;
        expect([found.index, found.checkpoint, hex(found.extra), found.hashes?.map(hex)]).toEqual([
          theirs.index,
          theirs.checkpoint,
          hex(theirs.extra),
          theirs.hashes.map(hex),
        ]);
      }),
      { numRuns: 300 },
    );
    expect(read).toBeGreaterThan(20);
  });

  it("reads an entry in its canonical form, with its own fields and no others", () => {
    const entry = {
      index: 1,
      received: "2024-06-09T21:30:01.000Z",
      state: "AT",
      key: "AT-1",
      sequence: 1,
      type: "tally",
      units: 1,
      statement: "a".repeat(64),
      judgement: "b".repeat(64),
    };
    const read = (value: unknown) => proof.readEntry(Buffer.from(typeof value === "string" ? value : canonical(value)));
    expect(read(entry)).toEqual(entry);
    for (const field of Object.keys(entry)) {
      expect(read({ ...entry, [field]: undefined })).toBeUndefined();
      expect(read({ ...entry, [field]: [entry[field as keyof typeof entry]] })).toBeUndefined();
    }
    expect(read({ ...entry, figures: 1 })).toBeUndefined();
    expect(read(JSON.stringify(entry))).toBeUndefined();
    expect(read("null")).toBeUndefined();
  });
});

describe("statement.js", () => {
  it("takes the envelopes that shared/statement/jws.ts takes, and nothing else", () => {
    const said = { type: "tally" as const, ...sampleCommon(sample, "AT", 1), tallies: [sampleTally()] };
    const envelopes = [signSample(sample, said, "AT-1"), signSample(sample, said, "LU-1", "LU-2")];
    let taken = 0;
    fc.assert(
      fc.property(fc.constantFrom(...envelopes), change, (envelope, changed) => {
        const written = Buffer.from(changed(Buffer.from(envelope).toString("utf8")).toWellFormed());
        const opened = openEnvelope(written);
        const read = statement.readStatement(written);
        const payload = opened.kind === "envelope" ? parseStrict(opened.envelope.payload) : undefined;
        // The page wants one that it can show as well.
        const shown =
          payload?.kind === "value" && typeof (payload.value as { type?: unknown } | null)?.type === "string";
        expect(read !== undefined).toBe(shown);
        if (read === undefined || opened.kind !== "envelope") return;
        taken++;
        expect(read.signatures.map(({ kid, signed, signature }) => [kid, hex(signed), hex(signature)])).toEqual(
          opened.envelope.signatures.map(({ kid, signed, signature }) => [kid, hex(signed), hex(signature)]),
        );
        expect(read.text).toBe(Buffer.from(opened.envelope.payload).toString("utf8"));
      }),
      { numRuns: 400 },
    );
    expect(taken).toBeGreaterThan(20);
  });
});
