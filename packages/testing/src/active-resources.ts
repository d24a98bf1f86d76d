// active-resources.ts: what keeps this process alive, so that a part which leaves a timer or a socket behind is found out.

// What keeps a process alive, by kind. Immediates are our own waiting, pipes and signals belong to the test runner.
const ignored = new Set(['Immediate', 'PipeWrap', 'TTYWrap', 'SignalWrap', 'MessagePort', 'ProcessWrap', 'WorkerThread']);

/** Counted by kind. */
export function activeResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) if (!ignored.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

/** The kinds of which there are more now. */
export function leaked(before: ReadonlyMap<string, number>): string[] {
  return [...activeResources()].filter(([kind, count]) => count > (before.get(kind) ?? 0)).map(([kind]) => kind);
}

/**
 * The least there is of each kind over a while a little longer than vitest's own timers take (it gathers its reports for 100 ms):
 * one of those counted here would hide one that is left behind.
 */
export async function settledResources(): Promise<Map<string, number>> {
  const least = activeResources();
  const endsAt = performance.now() + 120;
  while (performance.now() < endsAt) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = activeResources();
    for (const [kind, count] of least) least.set(kind, Math.min(count, now.get(kind) ?? 0));
  }
  return least;
}
