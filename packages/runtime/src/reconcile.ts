// reconcile.ts: what a process that is gone had leased is closed at what its journal says it spent.
//
// A call costs what its end says; without a cost told, what it had reserved, for it may have been made, unless it was not sent. What
// is in no journal that we were given (a graph that has ended, or that was taken over before) stays leased and so counts as spent.

import { graphOfAccount } from './account.ts';
import type { BudgetOrphan, BudgetStore } from './budget-store.ts';
import { capKeysOn } from './caps.ts';
import type { Graph } from './graph.ts';
import type { JournalRecord } from './journal.ts';
import type { Node } from './node.ts';

interface DeadJournal {
  readonly process: string;
  readonly records: readonly JournalRecord[];
}

/** `keysOf`: of the caps that are declared for a session, as it would lease from them. */
export async function reconcile(
  budgets: BudgetStore,
  journals: readonly DeadJournal[],
  graphs: ReadonlyMap<string, Graph>,
  keysOf: (node: Node) => readonly string[],
): Promise<void> {
  const gone = new Set(journals.map(({ process }) => process));
  for (const orphan of await budgets.orphans()) {
    const graph = graphs.get(graphOfAccount(orphan.account));
    if (!graph || !gone.has(orphan.process)) continue;
    const records = journals
      .filter(({ process }) => process === orphan.process)
      .flatMap((one) => one.records.filter(({ s }) => graph.get(s) !== undefined));
    // Another process took that graph over before, so that its journal is not among these: what was spent there is not known.
    if (records.length === 0) continue;
    await budgets.reconcile(orphan, Math.max(0, spentOf(records, graph, orphan, keysOf) - orphan.toldMicros));
  }
}

/**
 * By the sessions of the graph that the lease was for: those with these very caps, since one below them may have had a lease of its own, over
 * more. Where nobody has them any more other caps were declared then, and every session that they could be on counts, on the safe side.
 */
function spentOf(
  records: readonly JournalRecord[],
  graph: Graph,
  { keys }: BudgetOrphan,
  keysOf: (node: Node) => readonly string[],
): number {
  const areThese = (node: Node): boolean => {
    const own = keysOf(node);
    return own.length === keys.length && keys.every((key) => own.includes(key));
  };
  const areOn = (node: Node): boolean => {
    const own = capKeysOn(node);
    return keys.every((key) => own.has(key));
  };
  const isItsOwn = [...graph.members()].some(({ node }) => areThese(node)) ? areThese : areOn;
  const isOf = new Map<string, boolean>();
  const covers = (session: string): boolean => {
    let is = isOf.get(session);
    if (is === undefined) {
      const member = graph.get(session);
      is = member !== undefined && isItsOwn(member.node);
      isOf.set(session, is);
    }
    return is;
  };
  let sum = 0;
  const open = new Map<string, number>();
  for (const record of records) {
    if ((record.t !== 'call' && record.t !== 'end') || !covers(record.s)) continue;
    // What a restart took over from the old run was charged to that one.
    const birth = graph.get(record.s)!.saved.record;
    if (birth.restartOf !== undefined && birth.e === record.e && birth.at === record.at) continue;
    const name = `${record.s}\n${record.turn}\n${record.key}`;
    if (record.t === 'call') {
      // Asked for again: the attempt before may have cost what it had reserved.
      sum += open.get(name) ?? 0;
      open.set(name, record.reserveMicros ?? 0);
      continue;
    }
    const reserved = open.get(name) ?? 0;
    open.delete(name);
    sum += record.costMicros ?? (record.outcome === 'not-sent' || record.outcome === 'completed' ? 0 : reserved);
  }
  for (const reserved of open.values()) sum += reserved;
  return sum;
}
