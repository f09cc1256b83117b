/**
 * JSON that can be read in one way only: what JSON.parse lets pass in silence (a key twice, numbers that are no integers or too large,
 * half a character) is refused, as the log's own reader refuses it.
 */

/** The deepest statement has five levels; more is an attack. */
const MAX_DEPTH = 16;

/** In what JSON.parse has accepted, this finds every token: strings, numbers, brackets, and the marks between them. */
const TOKENS = /"(?:[^"\\]+|\\.)*"|-?\d[\d.eE+-]*|[{}[\]:,]/g;

/** The value of a JSON text; undefined if it is no JSON or could be read in two ways. */
export function parseStrict(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // no JSON
  }
  return isPlain(text.match(TOKENS) ?? []) ? value : undefined;
}

function isPlain(tokens) {
  // The keys of each object that is open at this place; of an array, nothing.
  const open = [];
  for (const [n, token] of tokens.entries()) {
    if (token === "{" || token === "[") open.push(token === "{" ? new Set() : undefined);
    if (open.length > MAX_DEPTH) return false;
    if (token === "}" || token === "]") open.pop();
    if (/^[-\d]/.test(token) && !isInteger(token)) return false;
    if (token.startsWith('"')) {
      const string = JSON.parse(token);
      if (!string.isWellFormed()) return false;
      if (tokens[n + 1] === ":" && !isNewKey(open.at(-1), string)) return false;
    }
  }
  return true;
}

function isInteger(token) {
  return /^-?\d{1,16}$/.test(token) && Number.isSafeInteger(Number(token)) && token !== "-0";
}

function isNewKey(keys, key) {
  if (key === "__proto__" || keys.has(key)) return false;
  keys.add(key);
  return true;
}

/** Canonical JSON (RFC 8785) of what `parseStrict` gives: keys sorted by their UTF-16 units, no spaces. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
