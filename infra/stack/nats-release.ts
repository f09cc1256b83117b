import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { arch, platform } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The version that is fetched or built when the machine has none. */
export const NATS_VERSION = "2.15.0";

/** The project's own releases; `<base>/v<version>/nats-server-v<version>-<platform>.tar.gz`. */
export const NATS_RELEASES = "https://github.com/nats-io/nats-server/releases/download";

/**
 * SHA-256 of the release archives of `NATS_VERSION`, as published with it in `SHA256SUMS`; the two for Linux are
 * also those that the official container image checks. Change them together with the version.
 */
export const NATS_SHA256: Readonly<Record<string, string>> = {
  "linux-amd64": "5d2c51caca950333aba84911df7d377f826f3a59ec36061c6539105084f65c92",
  "linux-arm64": "cdc208f5a3f42963a52b6ab06ef65626bb870315dc936e26ba571780c6351112",
  "darwin-amd64": "5bd8b59ca5bf93fab3da2c5843cf564cd6e2e291e22ae3b861746e7ebe259b95",
  "darwin-arm64": "e1c4e22d70bd44abfa0bcb3c16f7cf0c66f648c2e728c58924e8a1ce88913cc8",
};

/** Until the first byte of the answer: a machine without a way out must not hold up the start. */
const ANSWER_MS = 5_000;

/** For the whole archive (about 8 MB). */
const DOWNLOAD_MS = 120_000;

/** Several times the size of an archive; an endless answer must not fill the memory. */
const ARCHIVE_BYTES = 64 * 1024 * 1024;

/** This platform in the words of the releases: `linux-amd64`, `darwin-arm64`, … */
export function releasePlatform(): string {
  return `${platform()}-${arch() === "x64" ? "amd64" : arch()}`;
}

/**
 * Fetches the release for this platform into `folder`, checks it against its pin, unpacks it, and answers the
 * path of the binary. Throws with the reason when there is no pin, no connection, or another hash.
 */
export async function fetchRelease(
  folder: string,
  base = NATS_RELEASES,
  pins: Readonly<Record<string, string>> = NATS_SHA256,
): Promise<string> {
  const name = `nats-server-v${NATS_VERSION}-${releasePlatform()}`;
  const pin = pins[releasePlatform()];
  if (pin === undefined) throw new Error(`no SHA-256 is pinned for ${releasePlatform()}`);
  const archive = await download(`${base}/v${NATS_VERSION}/${name}.tar.gz`);
  const found = createHash("sha256").update(archive).digest("hex");
  if (found !== pin) throw new Error(`its SHA-256 is ${found}, not the pinned ${pin}; it is not used`);
  await mkdir(folder, { recursive: true });
  const file = join(folder, "archive.tar.gz");
  await writeFile(file, archive);
  await run("tar", ["-xzf", file, "-C", folder, `${name}/nats-server`]);
  await rm(file);
  const binary = join(folder, "nats-server");
  await rename(join(folder, name, "nats-server"), binary);
  return binary;
}

async function download(url: string): Promise<Buffer> {
  const impatience = new AbortController();
  const timer = setTimeout(() => impatience.abort(new Error(`no answer within ${ANSWER_MS / 1000} s`)), ANSWER_MS);
  const signal = AbortSignal.any([impatience.signal, AbortSignal.timeout(DOWNLOAD_MS)]);
  try {
    const answer = await fetch(url, { signal });
    clearTimeout(timer);
    if (!answer.ok || answer.body === null) throw new Error(`${url} answered ${answer.status}`);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of answer.body) {
      size += chunk.byteLength;
      if (size > ARCHIVE_BYTES) throw new Error(`${url} is larger than ${ARCHIVE_BYTES} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    clearTimeout(timer);
  }
}

/** `go install` of the pinned version into `folder`; the module proxy's checksum database vouches for the source. */
export async function goInstall(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await run("go", ["install", `github.com/nats-io/nats-server/v2@v${NATS_VERSION}`], {
    env: { ...process.env, GOBIN: folder, GOOS: "", GOARCH: "", GOFLAGS: "", CGO_ENABLED: "0" },
    timeout: 10 * 60_000,
  });
  return join(folder, "nats-server");
}

/**
 * Debian's package, unpacked into `folder` and not installed: installing it would put a service of its own on
 * the standard port. apt checks its signature. May be older than `NATS_VERSION`.
 */
export async function aptUnpack(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await run("apt-get", ["update"], { timeout: 120_000 });
  await run("apt-get", ["download", "nats-server"], { cwd: folder, timeout: 120_000 });
  const [file] = (await readdir(folder)).filter((name) => name.endsWith(".deb"));
  if (file === undefined) throw new Error("apt-get downloaded no package");
  await run("dpkg-deb", ["--extract", join(folder, file), join(folder, "package")]);
  const binary = join(folder, "nats-server");
  await rename(join(folder, "package", "usr", "sbin", "nats-server"), binary);
  await Promise.all([rm(join(folder, file)), rm(join(folder, "package"), { recursive: true })]);
  return binary;
}
