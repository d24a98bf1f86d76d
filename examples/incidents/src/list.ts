// list.ts: the twelve incidents, in the order in which main.ts runs them. Each is a program of that name.

export const incidents: readonly string[] = [
  'parent-stopped-child-runs-on',
  'respawn-race',
  'acknowledged-is-not-stopped',
  'subgraph-loop-survives-cancel',
  'members-with-ids-of-their-own',
  'run-lives-in-another-process',
  'one-run-cancelled-all-stopped',
  'interrupt-loses-background-work',
  'history-broken-by-an-abort',
  'budget-per-agent-not-per-run',
  'identical-calls-woken-after-abort',
  'external-tool-completes-anyway',
];
