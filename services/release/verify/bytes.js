/**
 * Bytes and how they are written. One spelling for one value: what could be read in two ways is undefined.
 */

/** Bytes as lower-case hexadecimal digits. */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Bytes as padded standard base64 (RFC 4648, section 4). */
export function toBase64(bytes) {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** The bytes of padded standard base64; undefined for any other spelling, such as bits set beyond the last byte. */
export function fromBase64(text) {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return toBase64(bytes) === text ? bytes : undefined;
}

/** The bytes of base64url without padding (RFC 4648, section 5); undefined for any other spelling. */
export function fromBase64url(text) {
  if (text.length % 4 === 1 || !/^[A-Za-z0-9_-]*$/.test(text)) return undefined;
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return fromBase64(standard.padEnd(Math.ceil(text.length / 4) * 4, "="));
}

/** One array of all of them. */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function equal(a, b) {
  return a.length === b.length && a.every((byte, n) => byte === b[n]);
}

/** Text as UTF-8 bytes. */
export function utf8(text) {
  return new TextEncoder().encode(text);
}

/** The text of UTF-8 bytes; undefined if they are not UTF-8. */
export function textOf(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined; // the decoder's only complaint
  }
}

/** A count as logs write it: decimal, without leading zeros, below 2^53; undefined for anything else. */
export function readCount(text) {
  const count = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : undefined;
  return Number.isSafeInteger(count) ? count : undefined;
}

/** SHA-256 by the browser. It is there on https and on loopback only: see `canHash`. */
export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** False where the browser keeps its cryptography from a page: plain http from another machine. */
export function canHash() {
  return globalThis.crypto?.subtle !== undefined;
}
