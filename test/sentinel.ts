/** Figures that are looked for where none may be, in every coding in which one could lie. */

/** Shorter ones turn up by chance in megabytes of ciphertext. */
const LEAST_BYTES = 8;

/** What would give bytes away: as they are, in hex, and in base64 wherever it begins within three bytes. */
export function traces(bytes: Uint8Array): Buffer[] {
  const raw = Buffer.from(bytes);
  const coded = [0, 1, 2].flatMap((shift) => {
    const whole = raw.subarray(shift, raw.length - ((raw.length - shift) % 3));
    return [whole.toString("base64"), whole.toString("base64url")];
  });
  const all = [raw, ...[raw.toString("hex"), ...coded].map((text) => Buffer.from(text, "latin1"))];
  return all.filter(({ length }) => length >= LEAST_BYTES);
}

export const textTraces = (text: string) => traces(Buffer.from(text, "latin1"));

/** Figures one after the other as a program may keep them: 32 or 64 bits each in both orders, or seven bits a byte, zigzag or not. */
export function packed(figures: number[]): Buffer[] {
  const whole = (bytes: number, write: (into: Buffer, figure: number, at: number) => void) => {
    const into = Buffer.alloc(bytes * figures.length);
    for (const [n, figure] of figures.entries()) write(into, figure, bytes * n);
    return into;
  };
  const varints = (factor: number) =>
    Buffer.from(
      figures.flatMap((figure) => {
        const bytes: number[] = [];
        let rest = figure * factor;
        for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
        return [...bytes, rest];
      }),
    );
  return [
    whole(4, (into, figure, at) => into.writeUInt32LE(figure, at)),
    whole(4, (into, figure, at) => into.writeUInt32BE(figure, at)),
    whole(8, (into, figure, at) => into.writeBigInt64LE(BigInt(figure), at)),
    whole(8, (into, figure, at) => into.writeBigInt64BE(BigInt(figure), at)),
    varints(1),
    varints(2), // zigzag: twice as much for what is not negative
  ].flatMap(traces);
}

export type Sought = [name: string, traces: Buffer[]][];

/** Which of them are in there; each once. */
export function foundIn(place: Uint8Array, sought: Sought): string[] {
  const bytes = Buffer.from(place.buffer, place.byteOffset, place.byteLength);
  return sought.filter(([, all]) => all.some((trace) => bytes.includes(trace))).map(([name]) => name);
}

/** A row as Postgres writes it, `t::text`: bytes as hex, quotes within quotes doubled. */
export const rowBytes = (row: string) => Buffer.from(row.replaceAll('""', '"'), "latin1");
