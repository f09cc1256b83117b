import { createHash, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import type { Definition, Key, State } from "./schema.ts";
import { type DetachedSignatures, signDefinition } from "./sign.ts";

/**
 * A small valid definition for the tests of this folder: two states, every kind of rule once, keys that anyone can derive. Two authority
 * keys sign it.
 */

const PKCS8 = { ed25519: "302e020100300506032b657004220420", x25519: "302e020100300506032b656e04220420" };

/** The private key of an id: its seed is the SHA-256 of the id. */
export function testKey(id: string, curve: keyof typeof PKCS8 = "ed25519"): KeyObject {
  const seed = createHash("sha256").update(`sample key ${id}`).digest();
  return createPrivateKey({
    key: Buffer.concat([Buffer.from(PKCS8[curve], "hex"), seed]),
    format: "der",
    type: "pkcs8",
  });
}

/** Its raw public key, base64url. */
export function testPublicKey(id: string, curve: keyof typeof PKCS8 = "ed25519"): string {
  return createPublicKey(testKey(id, curve)).export({ format: "jwk" }).x ?? "";
}

export const TEST_ANCHORS = ["authority-1", "authority-2"].map((id) => ({ id, publicKey: testPublicKey(id) }));

/** Signs bytes as both keys of its authority. */
export function signTest(bytes: Uint8Array): DetachedSignatures {
  return signDefinition(
    bytes,
    TEST_ANCHORS.map(({ id }) => ({ id, privateKey: testKey(id) })),
  );
}

/** A fresh copy each time, so that a test may change it. */
export function testDefinition(): Definition {
  return {
    type: "definition",
    election: "sample",
    title: "A sample",
    mode: "exercise",
    origin: "scrutin.example/sample",
    seats: 9,
    groups: [
      { id: "EPP", name: "One group" },
      { id: "SD", name: "Another group" },
      { id: "NI", name: "Non-attached" },
    ],
    authority: structuredClone(TEST_ANCHORS),
    keys: testKeys(),
    vault: { publicKey: testPublicKey("vault", "x25519"), recoveryKey: testPublicKey("recovery", "x25519") },
    states: [italy(), belgium()],
    sources: [],
  };
}

function testKeys(): Key[] {
  const offices = ["IT-1", "IT-2", "BE-1"].map((id): Key => {
    return { id, role: "office", state: id.slice(0, 2), official: `Official ${id}`, publicKey: testPublicKey(id) };
  });
  const trustees = [1, 2].map((n): Key => {
    const id = `trustee-${n}`;
    return { id, role: "trustee", person: `Trustee ${n}`, publicKey: testPublicKey(id) };
  });
  const services = (["ledger", "tabulate", "recount"] as const).map((role): Key => {
    return { id: `${role}-1`, role, publicKey: testPublicKey(`${role}-1`) };
  });
  return [...offices, ...trustees, ...services];
}

function list(id: string, constituency: string, more: Partial<State["lists"][number]> = {}): State["lists"][number] {
  return { id, constituency, kind: "list", acronym: id, name: `List ${id}`, groups: [], ...more };
}

function italy(): State {
  return {
    id: "IT",
    name: "Italy",
    timezone: "Europe/Rome",
    seats: 5,
    closings: [
      { where: "everywhere", local: "2024-06-09T23:00:00+02:00", utc: "2024-06-09T21:00:00Z", counts: true },
      {
        where: "Los Angeles",
        timezone: "America/Los_Angeles",
        local: "2024-06-09T19:00:00-07:00",
        utc: "2024-06-10T02:00:00Z",
        counts: false,
      },
    ],
    votesFrom: "rebuilt",
    votesPerBallot: 1,
    signaturesRequired: 2,
    constituencies: [
      {
        id: "IT",
        name: "Italy",
        seats: 5,
        allocation: { method: "quota", quota: "hare", of: "qualified" },
        threshold: { share: "4", of: "valid", independents: "1/seats" },
        links: [{ list: "IT03", to: "IT01", seats: 1, condition: "declared" }],
      },
    ],
    lists: [
      list("IT01", "IT", { groups: [{ id: "EPP", seats: 2 }] }),
      list("IT02", "IT", { groups: [{ id: "SD", seats: 1 }] }),
      list("IT03", "IT"),
      list("IT04", "IT", { kind: "independent" }),
      list("IT90", "IT", { kind: "others" }),
      list("IT91", "IT", { kind: "none" }),
    ],
    kinds: [{ id: "section", name: "Section", register: true, limits: { turnout: "95", blank: "5", invalid: "5" } }],
    units: [{ constituency: "IT", kind: "section", ids: ["IT-1", "IT-2", "IT-3"] }],
    sources: [],
    doubts: [],
  };
}

function belgium(): State {
  return {
    id: "BE",
    name: "Belgium",
    timezone: "Europe/Brussels",
    seats: 4,
    closings: [{ where: "everywhere", local: "2024-06-09T16:00:00+02:00", utc: "2024-06-09T14:00:00Z", counts: true }],
    votesFrom: "counted",
    votesPerBallot: 1,
    signaturesRequired: 1,
    constituencies: [
      {
        id: "FBE",
        name: "Dutch-speaking college",
        seats: 3,
        allocation: { method: "divisor", divisors: "sainte-lague", first: "1.2" },
        alliances: [{ id: "BE-a", lists: ["BE01", "BE02"] }],
      },
      { id: "GBE", name: "German-speaking college", seats: 1, allocation: { method: "divisor", divisors: "dhondt" } },
    ],
    lists: [list("BE01", "FBE"), list("BE02", "FBE"), list("BE03", "FBE"), list("BE14", "GBE")],
    kinds: [
      { id: "station", name: "Station", register: true, limits: {} },
      { id: "postal", name: "Postal", register: false, limits: {} },
    ],
    units: [
      { constituency: "FBE", kind: "station", ids: ["BE-F-1", "BE-F-2"] },
      { constituency: "GBE", kind: "station", ids: ["BE-G-1"] },
      { constituency: "GBE", kind: "postal", ids: ["BE-G-postal"] },
    ],
    sources: [],
    doubts: [],
  };
}
