// cluster.ts: in a Redis Cluster every link goes to the server that has our slot: with a hash tag in the prefix there is but one.
//
// Which server that is, is asked before each link; a server that says that the slot has moved loses its link (link.ts), and the next
// one finds the new owner, also where the one that was configured is gone.

import { hostOf } from '../place.ts';
import { type Address, type Link, type LinkOptions, linksTo, type OpenLink, type RedisPlace, type Reply } from './link.ts';

/** All keys of a prefix like `{os1}` hash to the slot of what stands in braces (Redis Cluster specification, hash tags). */
export function hashTagOf(prefix: string): string | undefined {
  return /^\{([^}]+)\}/.exec(prefix)?.[1];
}

/** How to open links to whichever server has the keys of this prefix. */
export function linksToOwner(place: RedisPlace, prefix: string): OpenLink {
  const tag = hashTagOf(prefix);
  if (tag === undefined) return linksTo(place);
  let servers: readonly Address[] = [];
  return async (options) => {
    let trouble: unknown;
    for (const seed of [undefined, ...servers]) {
      try {
        const owner = await askForOwner(linksTo(place, seed), seed?.host ?? hostOf(place), tag, options);
        servers = owner.servers;
        return await linksTo(place, owner.at)(options);
      } catch (error) {
        trouble = error;
      }
    }
    throw trouble;
  };
}

/** `at` is absent where the server that was configured is no Cluster. */
async function askForOwner(
  open: OpenLink,
  host: string,
  tag: string,
  options: LinkOptions,
): Promise<{ readonly at?: Address; readonly servers: readonly Address[] }> {
  const { connectTimeoutMs } = options;
  const link = await open({ connectTimeoutMs, keepsAlive: options.keepsAlive });
  try {
    if (!(await isCluster(link, connectTimeoutMs))) return { servers: [] };
    const slot = Number(await link.call(['CLUSTER', 'KEYSLOT', tag], connectTimeoutMs));
    const ranges = (await link.call(['CLUSTER', 'SLOTS'], connectTimeoutMs)) as readonly (readonly Reply[])[];
    const servers = ranges.flatMap((range) => range.slice(2).map((server) => addressOf(server, host)));
    const range = ranges.find(([from, to]) => Number(from) <= slot && slot <= Number(to));
    if (!range) throw new Error(`no server of the Cluster has slot ${slot}`);
    return { at: addressOf(range[2]!, host), servers };
  } finally {
    link.destroy();
  }
}

/** What a server tells of itself (`INFO`). */
export function saysCluster(info: Reply): boolean {
  return /^cluster_enabled:1/m.test(String(info ?? ''));
}

async function isCluster(link: Link, timeoutMs: number): Promise<boolean> {
  return saysCluster(await link.call(['INFO', 'cluster'], timeoutMs));
}

/** A server that knows no name of its own leaves it out: it is the one that was asked. */
function addressOf(server: Reply, asked: string): Address {
  const [host, port] = server as readonly Reply[];
  return { host: host ? String(host) : asked, port: Number(port) };
}
