import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { canonical } from "../ledger/entry.ts";
import { compactEnvelope, generalEnvelope } from "../statement/jws.ts";
import type { Statement, Tally } from "../statement/types.ts";
import { createRegister, type Register } from "./register.ts";
import { localTime } from "./schedule.ts";
import type { Definition, Key, State } from "./schema.ts";
import { type DetachedSignatures, signDefinition } from "./sign.ts";
import type { Anchor } from "./validate.ts";

/**
 * A small valid election for tests, with every private key. The keys follow from a seed that anyone can read: they
 * prove nothing.
 *
 * AT: one constituency, one signature a statement, units with a register (AT-1 to AT-4) and one without (AT-P), close
 * limits. LU: two constituencies (LU-N, LU-S), six votes a ballot, two officials sign each statement (LU-1, LU-2), units
 * LU-11, LU-12 and LU-21. Keys: AT-1, AT-2, AT-3 (the second key of AT-1's official), LU-1, LU-2, trustee-1 to trustee-3,
 * tabulate-1, recount-1, ledger-1, authority-1, authority-2, parliament-1, release-1. On demand back-up keys (AT-backup) and witnesses (witness-1).
 */

/** When all polls of the sample close unless a test says otherwise: 9 June 2024, 21:00 UTC. */
export const SAMPLE_CLOSE = Date.parse("2024-06-09T21:00:00Z");

export interface SampleOverrides {
  /** Other keys: two samples of different seeds share none. */
  seed?: string;
  /** When all polls close, ms UTC. */
  closesAt?: number;
  /** States that have a back-up key as well; its id is the state's with `-backup`. */
  backups?: readonly string[];
  /** How many witnesses watch the log; a bare majority is their quorum. Their names are their key ids. None unless said. */
  witnesses?: number;
  /** Last changes to the definition before it is hashed and signed. */
  edit?: (definition: Definition) => void;
}

export interface SampleKey {
  id: string;
  privateKey: KeyObject;
  /** 32 bytes. */
  publicRaw: Uint8Array;
  /** The private key as a JWK (RFC 8037), with its `kid`. */
  jwk: { kty: "OKP"; crv: "Ed25519" | "X25519"; x: string; d: string; kid: string };
}

export interface Sample {
  definition: Definition;
  /** SHA-256 of `bytes`, hex. */
  hash: string;
  bytes: Uint8Array;
  signatures: DetachedSignatures;
  /** Both keys of the authority, as a service is given them. */
  anchors: Anchor[];
  register: Register;
  /** Every Ed25519 key by its id. */
  keys: Map<string, SampleKey>;
  /** X25519. */
  vault: SampleKey;
  recovery: SampleKey;
}

/** PKCS #8 headers (RFC 8410) of a raw private key. */
const PKCS8 = { Ed25519: "302e020100300506032b657004220420", X25519: "302e020100300506032b656e04220420" };

function sampleKey(seed: string, id: string, crv: "Ed25519" | "X25519" = "Ed25519"): SampleKey {
  const raw = createHash("sha256").update(`scrutin sample\0${seed}\0${id}`).digest();
  const der = Buffer.concat([Buffer.from(PKCS8[crv], "hex"), raw]);
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  if (x === undefined) throw new TypeError("a key pair without a public half");
  const publicRaw = Buffer.from(x, "base64url");
  return { id, privateKey, publicRaw, jwk: { kty: "OKP", crv, x, d: raw.toString("base64url"), kid: id } };
}

const list = (id: string, constituency: string, kind: "list" | "others" = "list") => {
  return { id, constituency, kind, acronym: id, name: `List ${id}`, groups: [] };
};

function austria(closesAt: number): State {
  const units = (kind: string, ...ids: string[]) => ({ constituency: "AT", kind, ids });
  return {
    id: "AT",
    name: "Austria",
    timezone: "Europe/Vienna",
    seats: 20,
    closings: [closing("Austria", "Europe/Vienna", closesAt)],
    votesFrom: "counted",
    votesPerBallot: 1,
    signaturesRequired: 1,
    constituencies: [{ id: "AT", name: "Austria", seats: 20, allocation: { method: "divisor", divisors: "dhondt" } }],
    lists: [list("AT01", "AT"), list("AT02", "AT"), list("AT03", "AT"), list("AT90", "AT", "others")],
    kinds: [
      {
        id: "station",
        name: "Polling station",
        register: true,
        limits: { turnout: "95", blank: "3.5", invalid: "3.5" },
      },
      { id: "postal", name: "Postal district", register: false, limits: { turnout: "95" } },
    ],
    units: [units("station", "AT-1", "AT-2", "AT-3", "AT-4"), units("postal", "AT-P")],
    sources: [],
    doubts: [],
  };
}

function luxembourg(closesAt: number): State {
  const allocation = { method: "divisor", divisors: "dhondt" } as const;
  return {
    id: "LU",
    name: "Luxembourg",
    timezone: "Europe/Luxembourg",
    seats: 6,
    closings: [closing("Luxembourg", "Europe/Luxembourg", closesAt)],
    votesFrom: "counted",
    votesPerBallot: 6,
    signaturesRequired: 2,
    constituencies: [
      { id: "LU-N", name: "North", seats: 4, allocation },
      { id: "LU-S", name: "South", seats: 2, allocation },
    ],
    lists: [list("LU01", "LU-N"), list("LU02", "LU-N"), list("LU11", "LU-S"), list("LU12", "LU-S")],
    kinds: [{ id: "station", name: "Polling station", register: true, limits: {} }],
    units: [
      { constituency: "LU-N", kind: "station", ids: ["LU-11", "LU-12"] },
      { constituency: "LU-S", kind: "station", ids: ["LU-21"] },
    ],
    sources: [],
    doubts: [],
  };
}

function closing(where: string, timezone: string, at: number): State["closings"][number] {
  return { where, local: localTime(timezone, at), utc: new Date(at).toISOString(), counts: true };
}

type PublicKeyOf = (id: string) => string;

function witnessesOf(count: number, publicKey: PublicKeyOf): NonNullable<Definition["witnesses"]> {
  const names = Array.from({ length: count }, (_, n) => `witness-${n + 1}`);
  const keys = names.map((name) => ({ name, operator: `Operator of ${name}`, publicKey: publicKey(name) }));
  return { quorum: Math.floor(count / 2) + 1, keys };
}

/** The public halves of every key, as the definition lists them. */
function keysOf(publicKey: PublicKeyOf, backups: readonly string[]): Key[] {
  const office = (id: string, state: string, official: string): Key => {
    return { id, role: "office", state, official, publicKey: publicKey(id) };
  };
  return [
    office("AT-1", "AT", "Anna"),
    office("AT-2", "AT", "Bruno"),
    office("AT-3", "AT", "Anna"),
    office("LU-1", "LU", "Claire"),
    office("LU-2", "LU", "Denis"),
    ...backups.map((state): Key => {
      const id = `${state}-backup`;
      return { id, role: "office", state, official: "A safe", publicKey: publicKey(id), backup: true };
    }),
    ...[1, 2, 3].map((n): Key => {
      const id = `trustee-${n}`;
      return { id, role: "trustee", person: `Trustee ${n}`, publicKey: publicKey(id) };
    }),
    ...(["tabulate", "recount", "ledger"] as const).map((role): Key => {
      return { id: `${role}-1`, role, publicKey: publicKey(`${role}-1`) };
    }),
  ];
}

/** The sample with its bytes (canonical JSON), signed by both keys of its authority. Same overrides, same bytes. */
export function sampleDefinition(overrides: SampleOverrides = {}): Sample {
  const { seed = "", closesAt = SAMPLE_CLOSE, backups = [], witnesses = 0, edit } = overrides;
  const keys = new Map<string, SampleKey>();
  const publicKey = (id: string): string => {
    const key = sampleKey(seed, id);
    keys.set(id, key);
    return key.jwk.x;
  };
  const vault = sampleKey(seed, "vault", "X25519");
  const recovery = sampleKey(seed, "recovery", "X25519");
  const authority = ["authority-1", "authority-2"].map((id) => ({ id, publicKey: publicKey(id) }));
  const definition: Definition = {
    type: "definition",
    election: "sample",
    title: "Sample",
    mode: "exercise",
    origin: "results.example.eu/sample",
    seats: 26,
    groups: ["EPP", "NI"].map((id) => ({ id, name: id })),
    authority,
    keys: keysOf(publicKey, backups),
    vault: { publicKey: vault.jwk.x, recoveryKey: recovery.jwk.x },
    publication: {
      parliament: [{ id: "parliament-1", publicKey: publicKey("parliament-1") }],
      release: [{ id: "release-1", publicKey: publicKey("release-1") }],
    },
    ...(witnesses > 0 && { witnesses: witnessesOf(witnesses, publicKey) }),
    states: [austria(closesAt), luxembourg(closesAt)],
    sources: [],
  };
  edit?.(definition);
  const bytes = Buffer.from(canonical(definition), "utf8");
  const hash = createHash("sha256").update(bytes).digest("hex");
  const signers = authority.map(({ id }) => ({ id, privateKey: keyOf(keys, id).privateKey }));
  const signatures = signDefinition(bytes, signers);
  const register = createRegister(definition, hash);
  return { definition, hash, bytes, signatures, anchors: authority, register, keys, vault, recovery };
}

/** A key pair that the definition does not hold, for statements that bring one; `signSample` knows it from now on. */
export function newSampleKey(sample: Sample, id: string): SampleKey {
  if (sample.keys.has(id)) throw new RangeError(`the sample has a key ${id}`);
  const key = sampleKey("new", id);
  sample.keys.set(id, key);
  return key;
}

function keyOf(keys: ReadonlyMap<string, SampleKey>, id: string): SampleKey {
  const key = keys.get(id);
  if (key === undefined) throw new RangeError(`the sample has no key ${id}`);
  return key;
}

/** The JWS bytes of a statement signed by these keys: compact for one, general for several. */
export function signSample(sample: Sample, statement: Statement | Uint8Array, ...kids: string[]): Uint8Array {
  const payload = statement instanceof Uint8Array ? statement : Buffer.from(JSON.stringify(statement), "utf8");
  const compacts = kids.map((kid) => {
    const { signed, assemble } = compactEnvelope(kid, payload);
    return assemble(sign(null, signed, keyOf(sample.keys, kid).privateKey));
  });
  return Buffer.from(compacts.length === 1 ? (compacts[0] as string) : generalEnvelope(compacts), "utf8");
}

/** What every statement carries; the nonce follows from state and sequence. */
export function sampleCommon(sample: Sample, state: string, sequence: number) {
  const nonce = createHash("sha256").update(`${state} ${sequence}`).digest().subarray(0, 16).toString("base64url");
  return { definition: sample.hash, state, sequence, nonce, issued: "2024-06-09T21:30:00Z" };
}

/** A tally of a unit of AT that no rule objects to: 120 + 98 + 2 votes, 4 blank, 7 invalid, 231 ballots of 812 electors. */
export function sampleTally(unit = "AT-1", changes: Partial<Tally> = {}): Tally {
  return {
    unit,
    version: 1,
    status: "final",
    electors: 812,
    ballots: 231,
    blank: 4,
    invalid: 7,
    votes: { AT01: 120, AT02: 98, AT90: 2 },
    ...changes,
  };
}
