// frontier.ts: which heads a new chain has to name, so that through it every chain is held.

import { turnOfLoop } from '../slices.ts';
import type { AuditChain } from './audit-log.ts';
import type { AuditHead } from './entry.ts';

/**
 * The heads that no entry of another chain names at that very number. A head that is named is held by the chain that names it, so that
 * naming these holds all; and a thousand short runs of the command line do not name each other a thousand times.
 */
export async function frontier(chains: readonly AuditChain[], own: string): Promise<AuditHead[]> {
  const heads: AuditHead[] = [];
  const named = new Set<string>();
  for (const { process, lines } of chains) {
    const last = entryIn(lines.at(-1));
    if (process !== own && isHead(last) && last.process === process) heads.push({ process, n: last.n, hash: last.hash });
    for (const line of lines) if (line.includes('"heads":[{')) for (const head of headsIn(entryIn(line))) named.add(keyOf(head));
    await turnOfLoop();
  }
  return heads.filter((head) => !named.has(keyOf(head)));
}

const keyOf = ({ process, n, hash }: AuditHead): string => `${process} ${n} ${hash}`;

function entryIn(line: string | undefined): unknown {
  try {
    return line === undefined ? undefined : JSON.parse(line);
  } catch {
    // What it should have been is for `verifyAudit` to say.
    return undefined;
  }
}

export function headsIn(entry: unknown): readonly AuditHead[] {
  const heads = (entry as { readonly heads?: unknown } | null | undefined)?.heads;
  return Array.isArray(heads) ? heads.filter(isHead) : [];
}

export function isHead(value: unknown): value is AuditHead {
  if (typeof value !== 'object' || value === null) return false;
  const { process, n, hash } = value as Partial<Record<keyof AuditHead, unknown>>;
  return typeof process === 'string' && typeof n === 'number' && typeof hash === 'string';
}
