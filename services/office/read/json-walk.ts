import { Tokenizer, TokenizerError, TokenType } from "@streamparser/json";
import { Ends } from "./ends.ts";
import { type Place, type SourceCode, shortened } from "./source.ts";

/** Walks a JSON file as it comes, in bounded memory, and tells of every value with its path and place. */

const MAX_DEPTH = 32;
/** A text or a number that is longer is nothing that a count has. */
const MAX_TOKEN = 64 * 1024;

export type Scalar = string | number | boolean | null;

/** What is told: paths are keys and indexes from the root. `open` and `close` are of objects. */
export interface Report {
  open(path: readonly string[], place: Place): void;
  scalar(path: readonly string[], value: Scalar, place: Place): void;
  close(path: readonly string[], place: Place): void;
}

/** Lines of offsets, which only ever go forward. */
export function createLines() {
  let line = 1;
  let lineStart = 0;
  let at = 0;
  let pending: { offset: number; ends: number[] }[] = [];
  return {
    add(chunk: Uint8Array): void {
      const ends: number[] = [];
      for (let n = chunk.indexOf(10); n >= 0; n = chunk.indexOf(10, n + 1)) ends.push(at + n);
      pending.push({ offset: at, ends });
      at += chunk.length;
    },
    placeOf(offset: number): Place {
      for (const { ends } of pending) {
        while (ends[0] !== undefined && ends[0] < offset) {
          lineStart = (ends.shift() as number) + 1;
          line++;
        }
      }
      pending = pending.filter(({ ends }, n) => ends.length > 0 || n === pending.length - 1);
      return { line, column: offset - lineStart + 1 };
    },
  };
}

/** Walks the tokens and tells the report of every scalar with its path, and of every object's end. */
export function createWalk(report: Report, placeOf: (offset: number) => Place) {
  /** Of each open object or array: the key or index that is open in it. */
  const stack: { isArray: boolean; key: string; index: number; keys: Set<string>; awaits: "key" | "value" }[] = [];
  const path: string[] = [];
  let place: Place = { line: 1 };
  let consumed = 0;
  let lastToken = 0;
  let isDone = false;
  const tokenizer = new Tokenizer({ numberBufferSize: 32 });
  const ends = (code: SourceCode, detail: string) => new Ends(code, place, detail);
  const top = () => stack.at(-1);
  const step = () => {
    const own = top();
    if (own === undefined) return;
    if (own.isArray) path[stack.length - 1] = String(own.index);
    else path[stack.length - 1] = own.key;
  };
  tokenizer.onToken = ({ token, value, offset }) => {
    lastToken = offset;
    place = placeOf(offset);
    if (isDone) throw ends("file.format", "Something follows after its end.");
    const own = top();
    switch (token) {
      case TokenType.LEFT_BRACE:
      case TokenType.LEFT_BRACKET: {
        if (stack.length >= MAX_DEPTH) throw ends("file.hostile", `It is nested deeper than ${MAX_DEPTH} levels.`);
        const isArray = token === TokenType.LEFT_BRACKET;
        stack.push({ isArray, key: "", index: 0, keys: new Set(), awaits: isArray ? "value" : "key" });
        step();
        if (!isArray) report.open(path.slice(0, stack.length - 1), place);
        return;
      }
      case TokenType.RIGHT_BRACE:
      case TokenType.RIGHT_BRACKET:
        if (own === undefined || own.isArray !== (token === TokenType.RIGHT_BRACKET))
          throw ends("file.format", "It is not JSON: a bracket too many.");
        stack.pop();
        path.length = stack.length;
        if (!own.isArray) report.close(path, place);
        isDone = stack.length === 0;
        return;
      case TokenType.COMMA:
        if (own === undefined) throw ends("file.format", "It is not JSON: a comma too many.");
        if (own.isArray) own.index++;
        else own.awaits = "key";
        step();
        return;
      case TokenType.COLON:
        if (own === undefined || own.isArray) throw ends("file.format", "It is not JSON: a colon too many.");
        own.awaits = "value";
        return;
      default:
        if (typeof value === "string" && value.length > MAX_TOKEN)
          throw ends("row.too-long", "A text is longer than any count needs.");
        if (own !== undefined && !own.isArray && own.awaits === "key") {
          const key = String(value);
          if (own.keys.has(key)) throw ends("file.format", `The key "${shortened(key)}" stands twice in one object.`);
          own.keys.add(key);
          own.key = key;
          step();
          return;
        }
        if (own === undefined) throw ends("file.format", "It is no object.");
        report.scalar(path, value as Scalar, place);
    }
  };
  tokenizer.onError = (error) => {
    if (error instanceof Ends) throw error;
    throw ends("file.format", `It is not JSON: ${shortened(error.message)}.`);
  };
  return {
    write(chunk: Uint8Array): void {
      // A text that never ends would be kept whole.
      for (let at = 0; at < chunk.length; at += MAX_TOKEN) {
        const piece = chunk.subarray(at, at + MAX_TOKEN);
        try {
          tokenizer.write(piece);
        } catch (error) {
          if (error instanceof TokenizerError)
            throw ends("file.format", `It is not JSON: ${shortened(error.message)}.`);
          throw error;
        }
        consumed += piece.length;
        if (consumed - lastToken > 4 * MAX_TOKEN && !isDone) {
          place = placeOf(consumed);
          throw ends("row.too-long", "There is no value for longer than any count needs.");
        }
      }
    },
    end(): void {
      if (!isDone) {
        place = placeOf(consumed);
        throw ends(consumed === 0 ? "file.empty" : "file.cut", "Its last object is not closed.");
      }
    },
  };
}
