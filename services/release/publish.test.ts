import { describe, expect, it } from "vitest";
import { createHeardLog } from "../../shared/platform/log-fixture.ts";
import { ReleaseBroken } from "./opened.ts";
import { createPublisher } from "./publish.ts";
import type { Listed } from "./shelf.ts";

const listed = (number: number): Listed => ({
  number,
  sha256: String(number).repeat(64),
  size: number * 10,
  asOf: "2024-06-09T21:00:01.000Z",
  status: "PROVISIONAL",
  key: "0".repeat(64),
});

/** A publisher over looks that a test scripts: what each finds, and how it ends. */
function publisherOver(looks: { finds?: number[]; fails?: Error }[], publish = () => Promise.resolve()) {
  const told: number[] = [];
  const raised: unknown[] = [];
  const shelf: Listed[] = [];
  const { log, lines } = createHeardLog();
  let found: () => Promise<undefined> = async () => undefined;
  const publisher = createPublisher({
    shelf: {
      take: async (taken) => {
        const { finds = [], fails } = looks.shift() ?? {};
        for (const number of finds) {
          shelf.push(listed(number));
          taken(listed(number));
        }
        if (fails !== undefined) throw fails;
      },
      list: () => shelf,
      find: () => found(),
    },
    served: () => undefined,
    publish: (one) => {
      told.push(one.number);
      return publish();
    },
    raise: async (incident) => void raised.push(incident),
    log,
  });
  const findThrows = (error: Error) => {
    found = () => Promise.reject(error);
  };
  return { publisher, told, raised, lines, findThrows };
}

describe("the publisher", () => {
  it("tells of each new release, and after a restart of the last only", async () => {
    const { publisher, told } = publisherOver([{ finds: [1, 2, 3] }, {}, { finds: [4, 5] }]);
    for (let look = 0; look < 3; look++) await publisher.round();
    expect(told).toEqual([3, 4, 5]);
  });

  it("raises a broken release once, says so, and goes on looking", async () => {
    const broken = new ReleaseBroken("recount's signature");
    const { publisher, told, raised } = publisherOver([{}, { finds: [1], fails: broken }, { fails: broken }, {}]);
    await publisher.round();
    await publisher.round();
    await publisher.round();
    expect(told).toEqual([1]);
    expect(raised).toEqual([{ code: "release.broken", about: "2: recount's signature" }]);
    expect(publisher.status()).toEqual({ looked: true, broken: true });
    await publisher.round();
    expect(publisher.status()).toEqual({ looked: true, broken: false });
  });

  it("survives a database that is away, and a hint that does not leave", async () => {
    const away = () => Promise.reject(new Error("NATS is away"));
    const { publisher, told, raised, lines } = publisherOver([{ fails: new Error("gone") }, { finds: [1] }], away);
    await publisher.round();
    expect(publisher.status()).toEqual({ looked: false, broken: false });
    await publisher.round();
    expect(told).toEqual([1]);
    expect(raised).toEqual([]);
    expect(publisher.status()).toEqual({ looked: true, broken: false });
    expect(lines.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(["the look for releases failed", "release served", "nobody was told of the release"]),
    );
  });

  it("answers 503 for an older release that the database no longer gives, and raises one that was changed, once", async () => {
    const { publisher, raised, findThrows } = publisherOver([]);
    findThrows(new Error("gone"));
    await expect(publisher.find(7)).rejects.toMatchObject({ code: "service.unavailable" });
    expect(raised).toEqual([]);
    findThrows(new ReleaseBroken("it has left the database"));
    await expect(publisher.find(7)).rejects.toMatchObject({ code: "service.unavailable" });
    await expect(publisher.find(7)).rejects.toMatchObject({ code: "service.unavailable" });
    expect(raised).toEqual([{ code: "release.broken", about: "7: it has left the database" }]);
  });
});
