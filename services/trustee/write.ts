import * as files from "../../shared/platform/write-new.ts";
import { Refusal } from "./refusal.ts";

/** Files as `shared/platform/write-new.ts` writes them; what it refuses is a Refusal here. */

export { PUBLIC_MODE, SECRET_MODE, syncFolder } from "../../shared/platform/write-new.ts";

export const writeNew = (path: string, text: string | Uint8Array, mode: number): Promise<void> =>
  files.writeNew(path, text, mode).catch(refused);

export const mustBeFree = (path: string): Promise<void> => files.mustBeFree(path).catch(refused);

function refused(error: unknown): never {
  if (!(error instanceof files.WriteRefused)) throw error;
  throw new Refusal(error.why === "exists" ? "file.exists" : "file.unwritable", error.message);
}
