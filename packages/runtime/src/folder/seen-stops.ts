// seen-stops.ts: what this process has already been told of the stops in the folder, so that it is told each mark once, and
// that it misses a mark which somebody removed.

import { isEngaged, join, type Marks, unmarked } from '@offswitch/core';
import type { StoredStop } from '../store.ts';
import { parseName, type StopFiles } from './stop-files.ts';

interface Seen {
  readonly marks: Marks;
  /** Who and why were there too. They are told when they follow. */
  readonly isComplete: boolean;
}

export interface Look {
  readonly news: StoredStop[];
  readonly lost: StoredStop[];
}

export class SeenStops {
  private readonly files: StopFiles;
  private readonly seen = new Map<string, Seen>();
  /** What was in the folder at one time or another, and so must be there. */
  private readonly present = new Map<string, Marks>();

  constructor(files: StopFiles) {
    this.files = files;
  }

  /** Our own mark, which nobody has to tell us. */
  own(key: string, side: 'engaged' | 'released', n: number): void {
    const marks = join(this.seen.get(key)?.marks ?? unmarked, { ...unmarked, [side]: n });
    this.seen.set(key, { marks, isComplete: true });
  }

  /** Our own mark is in the folder now. */
  written(key: string, side: 'engaged' | 'released', n: number): void {
    this.present.set(key, join(this.present.get(key) ?? unmarked, { ...unmarked, [side]: n }));
  }

  /** A mark of it, at `engaged` or above, was in the folder when it was last looked at or written. */
  isThere(key: string, engaged: number): boolean {
    return (this.present.get(key)?.engaged ?? -1) >= engaged;
  }

  isKnown(name: string): boolean {
    const mark = parseName(name);
    const seen = mark && this.seen.get(mark.key);
    return seen?.isComplete === true && seen.marks[mark!.side] >= mark!.n;
  }

  /** The stops that say something new, and those whose marks are gone. Throws what the disk says when the folder cannot be listed. */
  look(): Look {
    const news: StoredStop[] = [];
    const all = this.files.list();
    for (const [key, found] of all) {
      this.present.set(key, join(this.present.get(key) ?? unmarked, found));
      const before = this.seen.get(key);
      const marks = join(before?.marks ?? unmarked, found);
      const isSame = before !== undefined && before.marks.engaged === marks.engaged && before.marks.released === marks.released;
      if (isSame && before.isComplete) continue;
      const stop = this.files.read(key, found);
      const isComplete = (found.engaged < 0 || stop.engaged !== undefined) && (found.released < 0 || stop.released !== undefined);
      if (!isSame || isComplete) news.push(stop);
      this.seen.set(key, { marks, isComplete });
    }
    return { news, lost: this.lostFrom(all) };
  }

  /**
   * What must be written again so that the next process decides as this one does: the engaged mark of a stop in force, and the
   * released mark of one that is not, while its engaged mark is still there.
   */
  private lostFrom(all: ReadonlyMap<string, Marks>): StoredStop[] {
    const lost: StoredStop[] = [];
    for (const [key, marks] of this.present) {
      const found = all.get(key) ?? unmarked;
      if (isEngaged(found) !== isEngaged(marks) || (isEngaged(marks) && found.engaged < marks.engaged))
        lost.push(this.files.read(key, marks));
    }
    return lost;
  }
}
