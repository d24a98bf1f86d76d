// open-receipts.ts: terminates that are over as far as this process knows, or were when it looked. Another process that finds something of
// theirs to end waits for the word of all that live; and one that carries them out may die before its last, though what it had to say is
// in its records. So they are looked at again.

import { readToTakeUp } from './receipts-to-go-on.ts';
import type { World } from './world.ts';

/** So soon after the start, and after a process is gone; then twice as late each time, up to the latter. Milliseconds. */
const againMs = 1_000;
const againAtMostMs = 600_000;

export class OpenReceipts {
  private readonly world: World;
  private timer: unknown;
  private inMs = againMs;

  constructor(world: World) {
    this.world = world;
  }

  /** Somebody may wait for this process's word, or will in a moment. */
  lookSoon(): void {
    this.inMs = againMs;
    this.lookLater();
  }

  close(): void {
    this.world.clock.clearTimeout(this.timer);
  }

  private lookLater(): void {
    const { clock } = this.world;
    clock.clearTimeout(this.timer);
    this.timer = clock.setTimeout(() => void this.look(), this.inMs);
    this.inMs = Math.min(2 * this.inMs, againAtMostMs);
  }

  private async look(): Promise<void> {
    const { world } = this;
    const stops = world.stopping.toTakeUp();
    if (stops.length === 0 || world.isClosed) return;
    const written = await readToTakeUp(world.store, stops).catch(() => new Map());
    if (world.isClosed) return;
    world.stopping.takeUpAgain(written);
    this.lookLater();
  }
}
