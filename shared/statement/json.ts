/**
 * A JSON parser (RFC 8259) that refuses what lenient ones let pass: duplicate keys, anything but integers, numbers beyond 2^53,
 * invalid UTF-8, lone surrogates, deep nesting. Two readers of the same signed bytes must never read two things.
 */

/** The deepest statement has five levels; more is an attack. */
export const MAX_DEPTH = 16;

export type JsonRefusal =
  | "json.not-utf8"
  | "json.syntax"
  | "json.duplicate-key"
  | "json.forbidden-key"
  | "json.not-an-integer"
  | "json.integer-too-large"
  | "json.lone-surrogate"
  | "json.too-deep";

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };
export type StrictJson = { kind: "value"; value: JsonValue } | { kind: "refused"; code: JsonRefusal; at: number };

class Refusal extends Error {
  code: JsonRefusal;
  at: number;
  constructor(code: JsonRefusal, at: number) {
    super(code);
    this.code = code;
    this.at = at;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Parses UTF-8 bytes. `at` is the offset, in UTF-16 units, of the first thing refused. `maxDepth` defaults to `MAX_DEPTH`. */
export function parseStrict(bytes: Uint8Array, maxDepth: number = MAX_DEPTH): StrictJson {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return { kind: "refused", code: "json.not-utf8", at: 0 };
  }
  const reader = new Reader(text, maxDepth);
  try {
    return { kind: "value", value: reader.document() };
  } catch (error) {
    if (error instanceof Refusal) return { kind: "refused", code: error.code, at: error.at };
    throw error;
  }
}

class Reader {
  private readonly text: string;
  private readonly maxDepth: number;
  private at = 0;

  constructor(text: string, maxDepth: number) {
    this.text = text;
    this.maxDepth = maxDepth;
  }

  document(): JsonValue {
    this.space();
    const value = this.value(0);
    this.space();
    if (this.at !== this.text.length) throw new Refusal("json.syntax", this.at);
    return value;
  }

  private space(): void {
    for (;;) {
      const c = this.text.charCodeAt(this.at);
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return;
      this.at++;
    }
  }

  private value(depth: number): JsonValue {
    const c = this.text.charCodeAt(this.at);
    if (c === 123 || c === 91) {
      if (depth >= this.maxDepth) throw new Refusal("json.too-deep", this.at);
      return c === 123 ? this.object(depth + 1) : this.array(depth + 1);
    }
    if (c === 34) return this.string();
    if (c === 45 || (c >= 48 && c <= 57)) return this.integer();
    return this.word();
  }

  private word(): JsonValue {
    for (const [word, value] of [
      ["true", true],
      ["false", false],
      ["null", null],
    ] as const) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    throw new Refusal("json.syntax", this.at);
  }

  private integer(): number {
    const start = this.at;
    if (this.text.charCodeAt(this.at) === 45) this.at++;
    const first = this.text.charCodeAt(this.at);
    if (!(first >= 48 && first <= 57)) throw new Refusal("json.syntax", start);
    this.at++;
    let c = this.text.charCodeAt(this.at);
    if (first === 48 && c >= 48 && c <= 57) throw new Refusal("json.syntax", start);
    while (c >= 48 && c <= 57) c = this.text.charCodeAt(++this.at);
    if (c === 46 || c === 101 || c === 69) throw new Refusal("json.not-an-integer", start);
    if (this.at - start > 17) throw new Refusal("json.integer-too-large", start);
    const value = Number(this.text.slice(start, this.at));
    if (!Number.isSafeInteger(value)) throw new Refusal("json.integer-too-large", start);
    if (Object.is(value, -0)) throw new Refusal("json.not-an-integer", start);
    return value;
  }

  private string(): string {
    const start = ++this.at;
    for (;;) {
      const c = this.text.charCodeAt(this.at);
      if (c === 34) break;
      if (c === 92) return this.escapedString(start);
      if (Number.isNaN(c) || c < 32) throw new Refusal("json.syntax", this.at);
      this.at++;
    }
    return this.text.slice(start, this.at++);
  }

  /** The slow path: a string with escapes, which alone can smuggle in lone surrogates. */
  private escapedString(start: number): string {
    let end = this.at;
    for (;;) {
      const c = this.text.charCodeAt(end);
      if (c === 34) break;
      if (Number.isNaN(c) || c < 32) throw new Refusal("json.syntax", end);
      end += c === 92 ? 2 : 1;
    }
    let value: string;
    try {
      value = JSON.parse(this.text.slice(start - 1, end + 1)) as string;
    } catch {
      throw new Refusal("json.syntax", start);
    }
    if (!value.isWellFormed()) throw new Refusal("json.lone-surrogate", start);
    this.at = end + 1;
    return value;
  }

  private array(depth: number): JsonValue[] {
    const values: JsonValue[] = [];
    this.at++;
    this.space();
    if (this.text.charCodeAt(this.at) === 93) {
      this.at++;
      return values;
    }
    for (;;) {
      this.space();
      values.push(this.value(depth));
      if (this.next(93)) return values;
    }
  }

  private object(depth: number): { [key: string]: JsonValue } {
    const members: { [key: string]: JsonValue } = {};
    this.at++;
    this.space();
    if (this.text.charCodeAt(this.at) === 125) {
      this.at++;
      return members;
    }
    for (;;) {
      this.space();
      const start = this.at;
      if (this.text.charCodeAt(start) !== 34) throw new Refusal("json.syntax", start);
      const key = this.string();
      // "__proto__" as a plain key would set the prototype instead of a member.
      if (key === "__proto__") throw new Refusal("json.forbidden-key", start);
      if (Object.hasOwn(members, key)) throw new Refusal("json.duplicate-key", start);
      this.space();
      if (this.text.charCodeAt(this.at) !== 58) throw new Refusal("json.syntax", this.at);
      this.at++;
      this.space();
      members[key] = this.value(depth);
      if (this.next(125)) return members;
    }
  }

  /** After a member: true at the closing bracket, false after a comma; anything else is a syntax error. */
  private next(closing: number): boolean {
    this.space();
    const c = this.text.charCodeAt(this.at);
    if (c !== closing && c !== 44) throw new Refusal("json.syntax", this.at);
    this.at++;
    return c === closing;
  }
}
