// waking.ts: when something that decides has changed, whoever is held looks again.

import type { LiveSession } from './session.ts';
import { Slice } from './slices.ts';
import type { World } from './world.ts';

/** How long after a refusal of the store it is asked again. Milliseconds. */
const againMs = 250;

export class Waking {
  private readonly world: World;
  private isReconsidering = false;
  private mustReconsider = false;
  private again: unknown;

  constructor(world: World) {
    this.world = world;
  }

  close(): void {
    this.world.clock.clearTimeout(this.again);
  }

  /** What could not be written down is tried again until it can. */
  reconsiderLater(): void {
    if (this.again !== undefined || this.world.isClosed) return;
    this.again = this.world.clock.setTimeout(() => {
      this.again = undefined;
      this.reconsider();
    }, againMs);
  }

  /** Something that decides has changed: whoever is held looks again, a few at a time. */
  reconsider(): void {
    if (this.world.isClosed) return;
    this.world.births.bearAll();
    this.world.ends.endAll();
    if (this.isReconsidering) this.mustReconsider = true;
    else this.reconsiderSlice(this.world.held.values(), new Slice(this.world.clock));
    this.world.ifHeld.reconsider();
    this.world.parking.reconsider();
    this.world.parking.lookWhetherAllParked();
  }

  /** At once as far as a slice goes, the rest in later ones; a change in between is looked for from the beginning after them. */
  private reconsiderSlice(held: Iterator<LiveSession>, slice: Slice): void {
    for (let one = held.next(); !one.done; one = held.next()) {
      const session = one.value;
      if (!session.isHeld) continue;
      const decision = this.world.decide(session.node);
      if (decision.action === 'terminate') session.stop(decision);
      else if (session.mayWake(decision)) this.world.pacer.add(session.wakeSoon);
      if (!slice.isOver) continue;
      this.isReconsidering = true;
      void slice.next().then(() => {
        if (!this.world.isClosed) this.reconsiderSlice(held, slice);
      });
      return;
    }
    this.isReconsidering = false;
    if (!this.mustReconsider) return;
    this.mustReconsider = false;
    this.reconsiderSlice(this.world.held.values(), slice);
  }
}
