import fc from "fast-check";

/** For the tests of the page's modules: how they are loaded, and what may have happened to what they read. */

/** A module of the page as Node runs it: unchanged. They are JavaScript, so that whoever calls says what they hold. */
export async function load<T>(name: string): Promise<T> {
  return import(new URL(name, import.meta.url).href);
}

export const hex = (value: Uint8Array | undefined) => value && Buffer.from(value).toString("hex");

/** A change that a text may have suffered: a piece cut out, doubled, or replaced. */
export const change = fc.oneof(
  fc.constant((text: string) => text),
  fc
    .tuple(
      fc.nat(),
      fc.nat(8),
      fc.constantFrom("", "\n", "\n\n", " ", "+", "A", "—", "=", "\t", "0", "\ud800", '"', ",", "{", "é"),
    )
    .map(([at, length, piece]) => (text: string) => {
      const from = at % (text.length + 1);
      return text.slice(0, from) + piece + text.slice(from + length);
    }),
  fc.tuple(fc.nat(), fc.nat(40)).map(([at, length]) => (text: string) => {
    const from = at % (text.length + 1);
    return text.slice(0, from + length) + text.slice(from);
  }),
);
