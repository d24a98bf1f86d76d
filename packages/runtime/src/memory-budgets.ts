// memory-budgets.ts: caps shared by the processes of one memory.

import { close, closeIfOpen, emptyLedger, grant, leasedMicros, orphansOf, type ScopeLedger } from './budget-ledger.ts';
import type { BudgetStore } from './budget-store.ts';

/** `living`: throws when this store was closed. */
export function memoryBudgets(
  ledgers: Map<string, ScopeLedger>,
  process: string,
  isAlive: (process: string) => boolean,
  living: () => void,
): BudgetStore {
  const of = (key: string): ScopeLedger => ledgers.get(key) ?? emptyLedger(key);
  return {
    async lease(request) {
      living();
      const { answer, after } = grant(
        request,
        process,
        request.scopes.map(({ key }) => of(key)),
        isAlive,
      );
      for (const ledger of after) ledgers.set(ledger.key, ledger);
      return answer;
    },
    async settle(account, keys, spentMicros) {
      living();
      for (const key of keys) ledgers.set(key, close(of(key), { process, account, keys }, spentMicros));
    },
    async spent(key) {
      const ledger = of(key);
      return { spentMicros: ledger.spentMicros, leasedMicros: leasedMicros(ledger) };
    },
    async orphans() {
      return orphansOf(ledgers.values(), isAlive);
    },
    async reconcile(lease, spentMicros) {
      living();
      for (const key of lease.keys) if (ledgers.has(key)) ledgers.set(key, closeIfOpen(of(key), lease, spentMicros));
    },
    async retire() {
      living();
    },
    async forget(key) {
      living();
      ledgers.delete(key);
    },
  };
}
