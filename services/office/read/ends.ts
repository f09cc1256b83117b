import type { Place, SourceCode } from "./source.ts";

/** Ends reading a file: nothing after this place can be understood. The message says why. */
export class Ends extends Error {
  readonly code: SourceCode;
  readonly at: Place;
  constructor(code: SourceCode, at: Place, detail: string) {
    super(detail);
    this.code = code;
    this.at = at;
  }
}
