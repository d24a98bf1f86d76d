// seen-stops.ts: what this process has already been told of the stops in the folder, so that it is told each mark once.

import { join, type Marks, unmarked } from '@offswitch/core';
import type { StoredStop } from '../store.ts';
import { parseName, type StopFiles } from './stop-files.ts';

interface Seen {
  readonly marks: Marks;
  /** Who and why were there too. They are told when they follow. */
  readonly isComplete: boolean;
}

export class SeenStops {
  private readonly files: StopFiles;
  private readonly seen = new Map<string, Seen>();

  constructor(files: StopFiles) {
    this.files = files;
  }

  /** Our own mark, which nobody has to tell us. */
  own(key: string, side: 'engaged' | 'released', n: number): void {
    const marks = join(this.seen.get(key)?.marks ?? unmarked, { ...unmarked, [side]: n });
    this.seen.set(key, { marks, isComplete: true });
  }

  isKnown(name: string): boolean {
    const mark = parseName(name);
    const seen = mark && this.seen.get(mark.key);
    return seen?.isComplete === true && seen.marks[mark!.side] >= mark!.n;
  }

  /** The stops that say something new. Throws what the disk says when the folder cannot be listed. */
  look(): StoredStop[] {
    const news: StoredStop[] = [];
    for (const [key, found] of this.files.list()) {
      const before = this.seen.get(key);
      const marks = join(before?.marks ?? unmarked, found);
      const isSame = before !== undefined && before.marks.engaged === marks.engaged && before.marks.released === marks.released;
      if (isSame && before.isComplete) continue;
      const stop = this.files.read(key, found);
      const isComplete = (found.engaged < 0 || stop.engaged !== undefined) && (found.released < 0 || stop.released !== undefined);
      if (!isSame || isComplete) news.push(stop);
      this.seen.set(key, { marks, isComplete });
    }
    return news;
  }
}
