/**
 * Which sequence numbers each key has used, as ranges: offices count up by one, so that a million statements are a few ranges. A statement
 * that is not open may have been signed for another election, and then it used none of this one's: its number is known apart.
 */
export interface Sequences {
  /** Surely used: by a statement that is open. */
  has(key: string, sequence: number): boolean;
  /** Not surely used, and there is a statement under it that is not open. */
  mayHave(key: string, sequence: number): boolean;
  /** Marks it as used; a second time changes nothing. */
  use(key: string, sequence: number): void;
  /** Marks it as the number of a statement that is not open. */
  mayUse(key: string, sequence: number): void;
}

/** Ascending, neither overlapping nor touching. */
type Ranges = { from: number; to: number }[];

export function createSequences(): Sequences {
  const surely = createNumbers();
  const perhaps = createNumbers();
  return {
    has: surely.has,
    mayHave: (key, sequence) => perhaps.has(key, sequence) && !surely.has(key, sequence),
    use: surely.mark,
    mayUse: perhaps.mark,
  };
}

function createNumbers() {
  const numbers = new Map<string, Ranges>();
  return {
    has(key: string, sequence: number): boolean {
      const ranges = numbers.get(key) ?? [];
      const range = ranges[before(ranges, sequence)];
      return range !== undefined && sequence <= range.to;
    },
    mark(key: string, sequence: number): void {
      const ranges = numbers.get(key);
      if (ranges === undefined) numbers.set(key, [{ from: sequence, to: sequence }]);
      else mark(ranges, sequence);
    },
  };
}

/** Position of the last range that begins at or below the number; -1 if none does. */
function before(ranges: Ranges, sequence: number): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle] as Ranges[number]).from <= sequence) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function mark(ranges: Ranges, sequence: number): void {
  const at = before(ranges, sequence);
  const left = ranges[at];
  const right = ranges[at + 1];
  if (left !== undefined && sequence <= left.to) return;
  const joinsLeft = left !== undefined && left.to + 1 === sequence;
  const joinsRight = right !== undefined && right.from - 1 === sequence;
  if (joinsLeft && joinsRight) ranges.splice(at, 2, { from: left.from, to: right.to });
  else if (joinsLeft) left.to = sequence;
  else if (joinsRight) right.from = sequence;
  else ranges.splice(at + 1, 0, { from: sequence, to: sequence });
}
