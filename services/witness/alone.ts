import { unlink } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { relative } from "node:path";

/**
 * Two processes on one memory could each read what the other is about to replace, and cosign a fork between them. So a process that
 * works in the folder listens on a socket in it: the operating system lets go of it however the process ends, and another one that
 * finds somebody listening stays out. `undefined`: the folder is taken.
 */
export async function holdAlone(folder: string): Promise<Server | undefined> {
  // The path of a socket has at most about 100 bytes: the shorter of both spellings.
  const absolute = `${folder}/process.sock`;
  const near = relative(process.cwd(), absolute);
  const path = near.length < absolute.length ? near : absolute;
  for (const isLast of [false, true]) {
    const server = await listenOn(path);
    if (server !== undefined) return server;
    // A process that was killed leaves the name behind, and nobody answers there.
    if (isLast || (await answers(path))) return undefined;
    await unlink(path);
  }
}

function listenOn(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(undefined) : reject(error),
    );
    server.listen(path, () => resolve(server));
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
