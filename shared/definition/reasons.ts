/** Called with a stable code and a sentence for each contradiction found in a definition. */
export type Report = (code: string, message: string) => void;

/** Reports each id that stands more than once, once per repetition. */
export function unique(code: string, what: string, ids: readonly string[], report: Report): void {
  const seen = new Set<string>();
  for (const id of ids) {
    if (seen.has(id)) report(code, `${what} ${id} stands more than once.`);
    seen.add(id);
  }
}
