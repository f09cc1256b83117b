import { join } from "node:path";
import type { Signer } from "../../shared/platform/sign.ts";
import type { Office } from "./folder.ts";
import { openKey } from "./keys.ts";
import type { Command } from "./options.ts";
import { askPassphrase } from "./passphrase.ts";
import type { World } from "./world.ts";

/** Where the office's folder is: as said, or as the environment says, or here. */
export const officeFolder = ({ values }: Command, { env }: World): string =>
  values.office ?? (env.SCRUTIN_OFFICE || join(".", "office"));

/** The key that signs, opened with its passphrase. Rejects with a Refusal. */
export async function openSigner(command: Command, world: World, office: Pick<Office, "folder">): Promise<Signer> {
  const passphrase = await askPassphrase(command.values["passphrase-file"], world, { isNew: false });
  return openKey(office.folder, command.values.key, passphrase);
}
