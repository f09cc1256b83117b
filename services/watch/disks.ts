import { statfs } from "node:fs/promises";
import type { Logger } from "pino";

/** How full a disk is. */
export interface DiskView {
  /** A folder on it. */
  path: string;
  /** 0 to 1. */
  usedShare: number;
  freeBytes: number;
}

export interface DiskWatch {
  /** One look. Never rejects. */
  look(): Promise<void>;
  views(): DiskView[];
}

/** The disks on which these folders lie. One that cannot be read is told once, and left out. */
export function createDiskWatch(paths: readonly string[], log: Logger): DiskWatch {
  let views: DiskView[] = [];
  const told = new Set<string>();
  const viewOf = async (path: string): Promise<DiskView[]> => {
    try {
      const { blocks, bavail, bsize } = await statfs(path);
      told.delete(path);
      return blocks === 0 ? [] : [{ path, usedShare: 1 - bavail / blocks, freeBytes: bavail * bsize }];
    } catch (error) {
      if (!told.has(path)) log.warn({ err: error, path }, "how full a disk is cannot be read");
      told.add(path);
      return [];
    }
  };
  return {
    async look() {
      views = (await Promise.all(paths.map(viewOf))).flat();
    },
    views: () => views,
  };
}
