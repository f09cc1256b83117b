import { createHash, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import type { Definition, Key } from "../../../shared/definition/schema.ts";

/**
 * The keys of the committed definition. They are PUBLIC KNOWLEDGE: each private key is the SHA-256 of a sentence that stands
 * here, so that anyone can rebuild the definition byte for byte. They prove nothing and serve exercises only.
 */
const SEED = "Scrutin ep2024 demonstration key, public knowledge, for exercises only: ";

/** PKCS #8 headers (RFC 8410) of a raw private key. */
const PKCS8 = { ed25519: "302e020100300506032b657004220420", x25519: "302e020100300506032b656e04220420" };

/** The private key of an id. */
export function demonstrationKey(id: string, curve: keyof typeof PKCS8 = "ed25519"): KeyObject {
  const raw = createHash("sha256").update(`${SEED}${id}`).digest();
  return createPrivateKey({
    key: Buffer.concat([Buffer.from(PKCS8[curve], "hex"), raw]),
    format: "der",
    type: "pkcs8",
  });
}

/** The raw public key (32 bytes, base64url) of an Ed25519 or X25519 key, private or public. */
export function rawPublicKey(key: KeyObject): string {
  const { x } = (key.type === "private" ? createPublicKey(key) : key).export({ format: "jwk" });
  if (x === undefined) throw new TypeError("not an Ed25519 or X25519 key");
  return x;
}

export const AUTHORITY_IDS = ["authority-1", "authority-2"] as const;

/** Public keys of every role: two officials a state, three trustees, one key for each service that signs. */
export function demonstrationKeys(states: readonly string[]): Pick<Definition, "authority" | "keys" | "vault"> {
  const publicKey = (id: string): string => rawPublicKey(demonstrationKey(id));
  const offices = states.flatMap((state) =>
    [1, 2].map((n): Key => {
      const id = `${state}-${n}`;
      return {
        id,
        role: "office",
        state,
        official: `Demonstration official ${n} of ${state}`,
        publicKey: publicKey(id),
      };
    }),
  );
  const trustees = [1, 2, 3].map((n): Key => {
    const id = `trustee-${n}`;
    return { id, role: "trustee", person: `Demonstration trustee ${n}`, publicKey: publicKey(id) };
  });
  const services = (["tabulate", "recount", "ledger"] as const).map((role): Key => {
    const id = `${role}-1`;
    return { id, role, publicKey: publicKey(id) };
  });
  return {
    authority: AUTHORITY_IDS.map((id) => ({ id, publicKey: publicKey(id) })),
    keys: [...offices, ...trustees, ...services],
    vault: {
      publicKey: rawPublicKey(demonstrationKey("vault", "x25519")),
      recoveryKey: rawPublicKey(demonstrationKey("recovery", "x25519")),
    },
  };
}
