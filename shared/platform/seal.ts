import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  KeyObject,
  randomBytes,
  randomFillSync,
} from "node:crypto";
import { Aes256Gcm, CipherSuite, HkdfSha256 } from "@hpke/core";
import { DhkemX25519HkdfSha256 } from "@hpke/dhkem-x25519";
import { decodeBase64url } from "../statement/jws.ts";

/**
 * Sealing. Statements and results travel and lie encrypted (AES-256-GCM) under data keys; a data key is wrapped (HPKE, RFC 9180)
 * to the vault's key and to the recovery key. X25519 comes from the library, not from WebCrypto: there it is experimental in
 * Node 20, and a data key a minute costs nothing.
 */

/** A data key in clear, and as it may travel: `wrapped` is enc(32) ‖ ct(48) to the vault, then the same to the recovery key. */
export interface DataKey {
  /** 128 random bits, hex. */
  id: string;
  /** 32 bytes; never leaves memory. */
  key: Uint8Array;
  /** 160 bytes. */
  wrapped: Uint8Array;
}

/** What is sealed: a sealed thing of one purpose never opens as another. */
export type Purpose = "statement" | "receipt" | "judgement" | "release" | "snapshot";

/** A sealed thing, or a wrapped key, was changed, or is opened with another key, purpose or context than it was sealed with. */
export class SealBroken extends Error {
  override readonly name = "SealBroken";
}

const KEY_BYTES = 32;
const ENC_BYTES = 32;
const WRAPPED_BYTES = ENC_BYTES + KEY_BYTES + 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const LENGTH_BYTES = 4;
/** Lengths are rounded up to this, so that they say little of what is inside. */
const PAD_BYTES = 256;

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

const utf8 = (text: string) => new Uint8Array(Buffer.from(text, "utf8"));
const wrapInfo = (definition: string) => utf8(`scrutin data key v1\0${definition}`);

/** Which of the two keys that every data key is wrapped to. */
export type Recipient = "vault" | "recovery";

async function wrapTo(
  recipient: Recipient,
  publicKey: string,
  opts: { definition: string; id: string; key: Uint8Array },
): Promise<Uint8Array> {
  const raw = decodeBase64url(publicKey);
  if (raw?.length !== KEY_BYTES) throw new TypeError(`the ${recipient}'s public key is not 32 bytes in base64url`);
  const recipientPublicKey = await suite.kem.importKey("raw", new Uint8Array(raw), true);
  const sender = await suite.createSenderContext({ recipientPublicKey, info: wrapInfo(opts.definition) });
  const ct = await sender.seal(new Uint8Array(opts.key), utf8(`${recipient}\0${opts.id}`));
  return Buffer.concat([new Uint8Array(sender.enc), new Uint8Array(ct)]);
}

/**
 * Makes a data key and wraps it twice, to the vault's and to the recovery key (X25519, base64url); bound to the definition's
 * hash and to its own id. Rejects with a TypeError for what is no public key.
 */
export async function createDataKey(opts: {
  definition: string;
  vaultPublicKey: string;
  recoveryPublicKey: string;
}): Promise<DataKey> {
  const id = randomBytes(16).toString("hex");
  const key = randomBytes(KEY_BYTES);
  const bound = { definition: opts.definition, id, key };
  const wrapped = Buffer.concat([
    await wrapTo("vault", opts.vaultPublicKey, bound),
    await wrapTo("recovery", opts.recoveryPublicKey, bound),
  ]);
  return { id, key, wrapped };
}

/**
 * A wrapped data key as it may be kept: the half that `opened` it stays, the other one is wrapped anew from the key in clear. Only its own
 * recipient can tell whether a half opens (RFC 9180): what somebody else wrapped would be found out when it is needed. Rejects with a
 * TypeError for what is no public key.
 */
export async function rewrapDataKey(
  dataKey: DataKey & { definition: string; vaultPublicKey: string; recoveryPublicKey: string; opened: Recipient },
): Promise<Uint8Array> {
  const { wrapped, opened, vaultPublicKey, recoveryPublicKey } = dataKey;
  const kept = halfOf(wrapped, opened);
  if (opened === "vault") return Buffer.concat([kept, await wrapTo("recovery", recoveryPublicKey, dataKey)]);
  return Buffer.concat([await wrapTo("vault", vaultPublicKey, dataKey), kept]);
}

const halfOf = (wrapped: Uint8Array, recipient: Recipient) =>
  wrapped.subarray(recipient === "vault" ? 0 : WRAPPED_BYTES).subarray(0, WRAPPED_BYTES);

/** The 32 raw bytes of an X25519 private key. */
function privateBytes(key: KeyObject | Uint8Array): Uint8Array {
  if (!(key instanceof KeyObject)) return key;
  if (key.asymmetricKeyType !== "x25519") throw new TypeError("the vault's key is not an X25519 key");
  return Buffer.from(key.export({ format: "jwk" }).d ?? "", "base64url");
}

/**
 * Unwraps a data key: 32 bytes. `vaultPrivateKey` is X25519, a KeyObject or its 32 raw bytes; `recipient: "recovery"` says that
 * it is the recovery key instead. Rejects with SealBroken if anything is not as it was wrapped.
 */
export async function unwrapDataKey(opts: {
  definition: string;
  id: string;
  wrapped: Uint8Array;
  vaultPrivateKey: KeyObject | Uint8Array;
  recipient?: Recipient;
}): Promise<Uint8Array> {
  const { definition, id, wrapped, recipient = "vault" } = opts;
  if (wrapped.length !== 2 * WRAPPED_BYTES) throw new SealBroken("a wrapped data key has another length");
  const part = halfOf(wrapped, recipient);
  const raw = new Uint8Array(privateBytes(opts.vaultPrivateKey));
  const recipientKey = await suite.kem.importKey("raw", raw, false);
  try {
    const enc = new Uint8Array(part.subarray(0, ENC_BYTES));
    const receiver = await suite.createRecipientContext({ recipientKey, enc, info: wrapInfo(definition) });
    const key = new Uint8Array(
      await receiver.open(new Uint8Array(part.subarray(ENC_BYTES)), utf8(`${recipient}\0${id}`)),
    );
    if (key.length !== KEY_BYTES) throw new Error(`${key.length} bytes`);
    return key;
  } catch (cause) {
    throw new SealBroken("a wrapped data key does not open", { cause });
  }
}

/** Hands out the data key of the minute. */
export interface Sealer {
  /** The data key of the minute that holds `now` (ms). The next one is made ahead, so that no request waits. */
  current(now: number): Promise<DataKey>;
  /** One of the last `SEALER_REMEMBERS` keys handed out: answers come back sealed with it. */
  find(id: string): DataKey | undefined;
}

/** An answer that takes longer than ten minutes has nobody waiting for it. */
export const SEALER_REMEMBERS = 10;
const MINUTE_MS = 60_000;

/** A sealer for one process: one data key per minute of the `now` that it is given, so that one key opens little. */
export function createSealer(opts: { definition: string; vaultPublicKey: string; recoveryPublicKey: string }): Sealer {
  const remembered = new Map<string, DataKey>();
  const prepare = () => {
    const key = createDataKey(opts);
    key.catch(() => undefined); // whoever asks for it is told; until then nobody is waiting
    return key;
  };
  const remember = (key: DataKey) => {
    remembered.set(key.id, key);
    for (const old of remembered.keys()) {
      if (remembered.size <= SEALER_REMEMBERS) break;
      remembered.delete(old);
    }
    return key;
  };
  let next = prepare();
  let active: { minute: number; key: Promise<DataKey> } | undefined;
  return {
    current(now) {
      const minute = Math.floor(now / MINUTE_MS);
      if (active?.minute !== minute) {
        const key = next.then(remember);
        active = { minute, key };
        next = prepare();
        // A failure is not kept for the rest of the minute.
        key.catch(() => {
          if (active?.key === key) active = undefined;
        });
      }
      return active.key;
    },
    find: (id) => remembered.get(id),
  };
}

/** The vault's side: unwrapped data keys by id, at most `limit` of them (a process and minute each). */
export interface Keyring {
  /** The data key in clear, 32 bytes. Rejects with SealBroken. */
  unwrap(id: string, wrapped: Uint8Array): Promise<Uint8Array>;
}

/** Four `ingest` for a whole day; each is about half a kilobyte. */
const KEYRING_LIMIT = 6_000;

/**
 * A bounded cache of unwrapped data keys. Anyone can wrap a key to the vault under any id, so a key is known by its id and the
 * half that opens it together: a forged one never takes the place of a true one. Failures are not kept.
 */
export function createKeyring(opts: {
  definition: string;
  vaultPrivateKey: KeyObject | Uint8Array;
  /** "recovery": it is the recovery key instead. */
  recipient?: Recipient;
  limit?: number;
}): Keyring {
  const { definition, recipient = "vault", limit = KEYRING_LIMIT } = opts;
  const vaultPrivateKey = privateBytes(opts.vaultPrivateKey);
  const keys = new Map<string, Promise<Uint8Array>>();
  return {
    unwrap(id, wrapped) {
      const name = `${id}:${wrapped.length}:${Buffer.from(halfOf(wrapped, recipient)).toString("base64")}`;
      const known = keys.get(name);
      if (known !== undefined) {
        keys.delete(name); // and back at the end: the least recently used goes first
        keys.set(name, known);
        return known;
      }
      const key = unwrapDataKey({ definition, id, wrapped, vaultPrivateKey, recipient });
      keys.set(name, key);
      key.catch(() => keys.delete(name));
      const oldest = keys.keys().next().value;
      if (keys.size > limit && oldest !== undefined) keys.delete(oldest);
      return key;
    },
  };
}

/** Drawing so few bytes at a time would cost a quarter of all sealing: a few hundred nonces are drawn at once, each used once. */
const nonces = { bytes: Buffer.alloc(256 * NONCE_BYTES), used: 256 };

function nextNonce(): Uint8Array {
  if (nonces.used === 256) {
    randomFillSync(nonces.bytes);
    nonces.used = 0;
  }
  const at = nonces.used++ * NONCE_BYTES;
  return nonces.bytes.subarray(at, at + NONCE_BYTES);
}

/** From here on a copy of it all is dearer than some more calls. */
const ZEROS = Buffer.alloc(64 * 1024);

/** The plaintext after its length, with zeros up to `whole` bytes: in one piece, or in several without a copy. */
function padded(plaintext: Uint8Array, whole: number): Uint8Array[] {
  const isSmall = whole <= ZEROS.length;
  const first = Buffer.alloc(isSmall ? whole : LENGTH_BYTES);
  first.writeUInt32BE(plaintext.length);
  if (isSmall) {
    first.set(plaintext, LENGTH_BYTES);
    return [first];
  }
  const pieces = [first, plaintext];
  for (let left = whole - LENGTH_BYTES - plaintext.length; left > 0; left -= ZEROS.length)
    pieces.push(ZEROS.subarray(0, Math.min(left, ZEROS.length)));
  return pieces;
}

const additional = (purpose: Purpose, context: string) => Buffer.from(`${purpose}\0${context}`, "utf8");

/**
 * Seals bytes with a 32-byte key: nonce(12, random) ‖ ciphertext ‖ tag(16), AES-256-GCM, AAD = purpose ‖ 0x00 ‖ context. Inside,
 * the plaintext follows its length (uint32, big-endian) and is padded with zeros to a multiple of 256 bytes. With `atLeast` it is as long as
 * if the plaintext had that many bytes: give what follows from public things alone, so that no length tells of the content.
 */
export function seal(
  key: Uint8Array,
  purpose: Purpose,
  context: string,
  plaintext: Uint8Array,
  { atLeast = 0 }: { atLeast?: number } = {},
): Uint8Array {
  const room = LENGTH_BYTES + Math.max(plaintext.length, atLeast);
  const pieces = padded(plaintext, Math.ceil(room / PAD_BYTES) * PAD_BYTES);
  const nonce = nextNonce();
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(additional(purpose, context));
  const sealed = pieces.map((piece) => cipher.update(piece));
  return Buffer.concat([nonce, ...sealed, cipher.final(), cipher.getAuthTag()]);
}

/** Opens what `seal` made. Throws SealBroken on any change, and for any other key, purpose or context. */
export function open(key: Uint8Array, purpose: Purpose, context: string, sealed: Uint8Array): Uint8Array {
  if (sealed.length < NONCE_BYTES + PAD_BYTES + TAG_BYTES) throw new SealBroken("a sealed thing is too short");
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(additional(purpose, context));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  let padded: Buffer;
  try {
    padded = Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new SealBroken("a sealed thing does not open", { cause });
  }
  const length = padded.readUInt32BE();
  if (length > padded.length - LENGTH_BYTES) throw new SealBroken("a sealed thing contradicts its own length");
  return padded.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
}

/** The X25519 key that the vault's processes work with: its own, or the recovery key in its place. */
export interface VaultKey {
  recipient: Recipient;
  privateKey: KeyObject;
  /** 32 bytes, the same for both keys: what the vault seals for itself outlives the loss of its own. */
  secret: Uint8Array;
}

const VAULT_SECRET = "scrutin vault secret v2";
/** Header of an X25519 public key (RFC 8410); the 32 raw bytes follow it. */
const X25519_SPKI = Buffer.from("302a300506032b656e032100", "hex");

/**
 * The vault's key and what follows from it; undefined for a key that is neither of the two. `vault` is of a valid definition: two
 * different points, neither of small order. The secret is that of X25519 (RFC 7748, section 6.1) between the vault's key and the recovery
 * key, bound to both and to the definition's hash: whoever has either private key comes to it, and nobody else; and what an exercise
 * publishes opens nothing of the night, though both use the same keys.
 */
export function vaultKeyOf(
  privateKey: KeyObject,
  vault: { publicKey: string; recoveryKey: string },
  definition: string,
): VaultKey | undefined {
  if (privateKey.asymmetricKeyType !== "x25519") return undefined;
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  const recipient = x === vault.publicKey ? "vault" : x === vault.recoveryKey ? "recovery" : undefined;
  if (recipient === undefined) return undefined;
  const other = decodeBase64url(recipient === "vault" ? vault.recoveryKey : vault.publicKey) ?? new Uint8Array();
  const publicKey = createPublicKey({ key: Buffer.concat([X25519_SPKI, other]), format: "der", type: "spki" });
  const shared = diffieHellman({ privateKey, publicKey });
  const info = `${definition}\0${vault.publicKey}\0${vault.recoveryKey}`;
  return {
    recipient,
    privateKey,
    secret: new Uint8Array(hkdfSync("sha256", shared, VAULT_SECRET, info, KEY_BYTES)),
  };
}

/**
 * A 32-byte secret that only a holder of the vault's key or of the recovery key can derive (HKDF-SHA256, RFC 5869), for what the vault
 * seals for itself. `info` names the use; two uses never share a secret.
 */
export function vaultSecret({ secret }: VaultKey, info: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, VAULT_SECRET, info, KEY_BYTES));
}
