// stream-id.ts: the order of stream ids, `<milliseconds>-<number>`.

/** Below 0: `a` is before `b`. */
export function compareIds(a: string, b: string): number {
  const [ams = 0, aseq = 0] = a.split('-').map(Number);
  const [bms = 0, bseq = 0] = b.split('-').map(Number);
  return ams - bms || aseq - bseq;
}
