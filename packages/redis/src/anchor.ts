// anchor.ts: what this machine remembers of its Redis: which one it was, and the stops it held. So that an empty or exchanged server
// is held, not believed (S4).

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { mintId, type StoredStop } from '@offswitch/runtime';
import { type Mark, markOf, sideLetter } from './stops.ts';

export interface Anchored {
  readonly id: string;
  readonly marks: readonly Mark[];
}

interface Kept {
  readonly id: string;
  readonly stops: readonly (readonly [key: string, side: string, n: number, details: string])[];
}

export class Anchor {
  readonly path: string;
  private readonly prefix: string;
  private writing: Promise<void> | undefined;
  private wanted: { readonly id: string; readonly stops: () => readonly StoredStop[] } | undefined;

  constructor(path: string, prefix: string) {
    this.path = resolve(path);
    this.prefix = prefix;
  }

  /** `undefined`: nothing is remembered of such a store. Throws for a file that cannot be read as one of ours. */
  async read(): Promise<Anchored | undefined> {
    const kept = (await this.file())[this.prefix];
    if (kept === undefined) return undefined;
    const marks = kept.stops
      .map(([key, side, n, details]) => markOf(key, side, String(n), details))
      .filter((mark) => mark !== undefined);
    return { id: kept.id, marks };
  }

  /** Writes what is known when nothing else is being written. Warns where it cannot. */
  write(id: string, stops: () => readonly StoredStop[]): void {
    this.wanted = { id, stops };
    this.writing ??= this.writeAll().finally(() => {
      this.writing = undefined;
    });
  }

  async settle(): Promise<void> {
    await this.writing;
  }

  private async writeAll(): Promise<void> {
    while (this.wanted) {
      const { id, stops } = this.wanted;
      try {
        // Notices come in swarms: one writing serves all that came meanwhile.
        await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
        const before = await this.file();
        this.wanted = undefined;
        const kept = before[this.prefix];
        const known = packed(stops());
        const all = { ...before, [this.prefix]: { id, stops: kept?.id === id ? joined(kept.stops, known) : known } };
        const temporary = `${this.path}.${mintId('t')}`;
        await writeFile(temporary, JSON.stringify(all), { mode: 0o600, flush: true });
        await rename(temporary, this.path);
      } catch (error) {
        process.emitWarning(`${this.path} cannot be written, so an exchanged Redis may not be noticed: ${String(error)}`, {
          code: 'OFFSWITCH_ANCHOR',
        });
        this.wanted = undefined;
        return;
      }
    }
  }

  private async file(): Promise<Readonly<Record<string, Kept>>> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
      throw error;
    }
    const all = JSON.parse(text) as Readonly<Record<string, Partial<Kept>>>;
    for (const one of Object.values(all))
      if (typeof one.id !== 'string' || !Array.isArray(one.stops)) throw new Error('it is not as this package writes it');
    return all as Readonly<Record<string, Kept>>;
  }
}

/** Another process of this machine may know a stop of which this one has not heard. */
function joined(there: Kept['stops'], here: Kept['stops']): Kept['stops'] {
  const marks = new Map(there.map((one) => [`${one[0]} ${one[1]}`, one]));
  for (const one of here) {
    const name = `${one[0]} ${one[1]}`;
    if (one[2] >= (marks.get(name)?.[2] ?? -1)) marks.set(name, one);
  }
  return [...marks.values()];
}

function packed(stops: readonly StoredStop[]): Kept['stops'] {
  return stops.flatMap((stop) =>
    (['engaged', 'released'] as const).flatMap((side) =>
      stop.marks[side] < 0 ? [] : [[stop.key, sideLetter[side], stop.marks[side], JSON.stringify(stop[side] ?? null)] as const],
    ),
  );
}
