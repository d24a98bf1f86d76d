// account.ts: what a process calls the spending of one graph that it leases for. One that has lost the graph, and has it again, calls it something else, so that
// nothing that anybody says late of the lease before is taken for a word on the one that is open now (I8).

/** `losses`: how often this process has lost a graph before. */
export function accountOf(graph: string, losses: number): string {
  return losses === 0 ? graph : `${graph}.${losses}`;
}

export function graphOfAccount(account: string): string {
  return account.split('.', 1)[0]!;
}
