import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A bad line: forwards TCP to `target`, and now and then is slow, cuts, or swallows the end of what it was given. */
export async function waywardProxy(target: URL, random: () => number) {
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  let isBad = true;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => undefined); // cut, as the test wants it
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.on("data", (chunk) => {
        const chance = isBad ? random() : 1;
        if (chance < 0.02) return void from.destroy();
        if (chance < 0.04) {
          // Half of it arrives, then nothing does.
          to.write(chunk.subarray(0, chunk.length >> 1), () => from.destroy());
          return;
        }
        if (chance < 0.2) {
          from.pause();
          const timer = setTimeout(() => {
            timers.delete(timer);
            to.write(chunk);
            from.resume();
          }, random() * 100);
          timers.add(timer);
          return;
        }
        to.write(chunk);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(target);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    mend: () => {
      isBad = false;
    },
    close: () =>
      new Promise<void>((resolve) => {
        for (const timer of timers) clearTimeout(timer);
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
