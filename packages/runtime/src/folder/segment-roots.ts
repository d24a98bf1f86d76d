// segment-roots.ts: which of this process's segments still hold a graph that is not settled.
//
// Counted, not listed: a process that has run a million graphs remembers only those that are going on.

export class SegmentRoots {
  /** Most graphs are written to one segment only: then it stands here itself. */
  private readonly segments = new Map<string, number | number[]>();
  private readonly unsettled = new Map<number, number>();

  /** A record of `root` was written to `segment`. `begins`: a record that starts or takes over work, so that a late one of a settled graph counts for nothing. */
  wrote(root: string, segment: number, begins: boolean): void {
    const held = this.segments.get(root);
    if (held === undefined) {
      if (!begins) return;
      this.segments.set(root, segment);
    } else if (typeof held === 'number') {
      if (held === segment) return;
      this.segments.set(root, [held, segment]);
    } else if (held[held.length - 1] === segment) return;
    else held.push(segment);
    this.unsettled.set(segment, (this.unsettled.get(segment) ?? 0) + 1);
  }

  /** False when nothing of `root` was going on here. */
  settled(root: string): boolean {
    const held = this.segments.get(root);
    if (held === undefined) return false;
    this.segments.delete(root);
    for (const segment of typeof held === 'number' ? [held] : held) this.unsettled.set(segment, this.unsettled.get(segment)! - 1);
    return true;
  }

  isSettled(segment: number): boolean {
    return (this.unsettled.get(segment) ?? 0) === 0;
  }

  removed(segment: number): void {
    this.unsettled.delete(segment);
  }
}
