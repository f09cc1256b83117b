/** How far `ahead` may run: items begun and not yet taken, and bytes of those that are ready. */
export interface Bounds<R> {
  items: number;
  bytes?: number;
  sizeOf?: (result: R) => number;
}

/**
 * Works on the items of a source some way ahead of whoever reads, and gives the results in the source's order. A rejection, of the source
 * or of the work, comes in its place: everything before it is given first. When the reader leaves, the source is closed.
 */
export async function* ahead<T, R>(
  source: AsyncIterable<T> | Iterable<T>,
  work: (item: T) => Promise<R>,
  { items, bytes = Number.POSITIVE_INFINITY, sizeOf = () => 0 }: Bounds<R>,
): AsyncGenerator<R, void, undefined> {
  const queue: Promise<R>[] = [];
  let ready = 0;
  let left = false;
  let ended = false;
  let wake = () => {};
  const changed = () => new Promise<void>((resolve) => (wake = resolve));

  const begin = (item: T) => {
    const working = work(item).then((result) => {
      ready += sizeOf(result);
      return result;
    });
    working.catch(() => undefined); // it is told when its turn comes
    queue.push(working);
  };
  const pump = async () => {
    for await (const item of source) {
      while (!left && (queue.length >= items || (queue.length > 0 && ready >= bytes))) await changed();
      if (left) return;
      begin(item);
      wake();
    }
  };
  const pumping = pump()
    .catch((error: unknown) => {
      const failed = Promise.reject(error);
      failed.catch(() => undefined);
      queue.push(failed);
    })
    .finally(() => {
      ended = true;
      wake();
    });

  try {
    for (;;) {
      const next = queue[0];
      if (next === undefined) {
        if (ended) return;
        await changed();
        continue;
      }
      const result = await next;
      queue.shift();
      ready -= sizeOf(result);
      wake();
      yield result;
    }
  } finally {
    left = true;
    wake();
    await pumping;
  }
}
