// server-check.ts: what can be known of a server before it is trusted with stops.

import { hashTagOf, saysCluster } from './connection/cluster.ts';
import { ServerRefusal } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';
import { pairs } from './journals.ts';
import { invalid } from './options.ts';

const credentials = new Set(['WRONGPASS', 'NOAUTH', 'NOPERM']);

/**
 * Rejects with `invalid_option` for a server that can never do: older than 7.0, a Cluster without a prefix for it, wrong credentials. Answers what is said of one that
 * may lose stops, `undefined` for one that keeps them (or does not let itself be asked).
 */
export async function checkServer(wire: Wire, where: string, prefix: string): Promise<string | undefined> {
  try {
    await wire.linked();
  } catch (error) {
    if (isCredentials(error)) throw invalid(`${where} refuses the credentials`, error);
    throw error;
  }
  const info = await asked(wire, ['INFO']);
  const version = /^redis_version:(\d+)/m.exec(String(info ?? ''))?.[1];
  if (version !== undefined && Number(version) < 7)
    throw invalid(`${where} is of version ${version}; 7.0 or later is needed (FUNCTION)`);
  if (saysCluster(info) && hashTagOf(prefix) === undefined)
    throw invalid(
      `${where} is a Redis Cluster, where all keys must be in one slot: give a prefix with a hash tag, as {${prefix}}`,
    );
  const config = new Map(pairs(await asked(wire, ['CONFIG', 'GET', 'appendonly'])));
  for (const [name, value] of pairs(await asked(wire, ['CONFIG', 'GET', 'maxmemory-policy']))) config.set(name, value);
  const troubles: string[] = [];
  if (config.get('appendonly') === 'no')
    troubles.push('appendonly is off, so a restart of Redis forgets stops; set appendonly yes');
  const policy = config.get('maxmemory-policy') ?? 'noeviction';
  if (policy.startsWith('allkeys')) troubles.push(`maxmemory-policy is ${policy}, so Redis may throw stops away; set noeviction`);
  return troubles.length > 0 ? `${where}: ${troubles.join('. ')}` : undefined;
}

function isCredentials(error: unknown): boolean {
  return error instanceof ServerRefusal && credentials.has(error.code);
}

/** `null` where it may not be asked. */
async function asked(wire: Wire, argv: readonly string[]) {
  try {
    return await wire.call(argv);
  } catch (error) {
    if (!(error instanceof ServerRefusal)) throw error;
    if (error.code === 'NOAUTH') throw invalid('Redis wants credentials; put them into the url', error);
    return null;
  }
}
