// verify.ts: is the log what was written? Each chain against itself, and all of them against the heads that others kept.

import type { AuditChain } from './audit-log.ts';
import { type CheckedChain, checkChain } from './check-chain.ts';
import type { AuditHead } from './entry.ts';

/** A head as somebody kept it: another chain, a receipt, a person. */
export interface AuditAnchor extends AuditHead {
  /** Who kept it, for people. */
  readonly by: string;
}

/** What is wrong with one entry, or one chain. */
export interface AuditFinding {
  /** Whose chain. */
  readonly process: string;
  /** Which entry; of several that are missing in a row the first. */
  readonly n: number;
  /** Where it stands, or should stand, counted from 1. */
  readonly line: number;
  /**
   * `edited`: is not what its hash says, or is no entry. `rewritten`: is whole in itself, and another than the one that was named.
   * `removed`: is missing in the middle. `reordered`, `duplicated`, `foreign` (of another chain). `cut-off`: was named, and the chain
   * ends before it. `chain-missing`: was named, and its chain is not there. `unreadable`.
   */
  readonly what:
    | 'edited'
    | 'rewritten'
    | 'removed'
    | 'reordered'
    | 'duplicated'
    | 'foreign'
    | 'cut-off'
    | 'chain-missing'
    | 'unreadable';
  readonly message: string;
}

export interface AuditReport {
  readonly findings: readonly AuditFinding[];
  /** The last entry of each chain: what to keep somewhere else. */
  readonly heads: readonly AuditHead[];
  readonly entries: number;
  /** How many heads were compared. */
  readonly anchors: number;
}

/**
 * Checks every chain and every anchor. `kept`: heads from outside of the log (receipts, a file of yours). What nobody named cannot be
 * missed: the last entries of the chain that was written last need a head kept outside.
 */
export function verifyAudit(chains: readonly AuditChain[], kept: readonly AuditAnchor[] = []): AuditReport {
  const checked = new Map<string, CheckedChain>(chains.map((chain) => [chain.process, checkChain(chain)]));
  const anchors = [...[...checked.values()].flatMap((one) => one.anchors), ...kept];
  const findings = [...checked.values()].flatMap((one) => one.findings);
  const told = new Set<string>(findings.map(keyOf));
  for (const anchor of anchors) {
    const finding = missed(anchor, checked.get(anchor.process));
    if (!finding || told.has(keyOf(finding))) continue;
    told.add(keyOf(finding));
    findings.push(finding);
  }
  return {
    findings: findings.sort((a, b) => (a.process < b.process ? -1 : a.process > b.process ? 1 : a.line - b.line)),
    heads: [...checked.values()].flatMap(({ head }) => head ?? []),
    entries: [...checked.values()].reduce((sum, one) => sum + one.hashes.size, 0),
    anchors: anchors.length,
  };
}

/** One entry is told of once, whoever named it. */
const keyOf = ({ process, n, what }: AuditFinding): string => `${process} ${n} ${what}`;

function missed({ process, n, hash, by }: AuditAnchor, chain: CheckedChain | undefined): AuditFinding | undefined {
  if (!chain)
    return { process, n, line: n, what: 'chain-missing', message: `the chain is not there, and ${by} names entry ${n} of it` };
  const found = chain.hashes.get(n);
  if (found === hash) return undefined;
  if (found !== undefined)
    return {
      process,
      n,
      line: n,
      what: 'rewritten',
      message: `${by} names entry ${n} with another hash: it, or one before it, was rewritten`,
    };
  // Said already, with its place.
  if (n <= chain.last) return undefined;
  return {
    process,
    n,
    line: chain.lines + 1,
    what: 'cut-off',
    message: `the chain ends with entry ${chain.last}, and ${by} names entry ${n}`,
  };
}
