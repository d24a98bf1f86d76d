// known.ts: sessions of this process that the store has been told of, so that each is made known once.

import type { LineageStore, Registration } from './lineage-store.ts';

export class Known {
  private readonly lineage: LineageStore;
  private readonly byId = new Map<string, Promise<unknown>>();

  constructor(lineage: LineageStore) {
    this.lineage = lineage;
  }

  has(id: string): boolean {
    return this.byId.has(id);
  }

  /** The store knows it. */
  add(id: string): void {
    this.byId.set(id, Promise.resolve());
  }

  /** Answers whether the store knew it from here. */
  delete(id: string): boolean {
    return this.byId.delete(id);
  }

  /** Resolves when the store knows it; where it cannot be told, the next who asks tries again. */
  async register(registration: Registration): Promise<void> {
    const { session } = registration;
    let known = this.byId.get(session);
    if (!known) {
      known = this.lineage.register(registration);
      this.byId.set(session, known);
      const own = known;
      own.catch(() => {
        if (this.byId.get(session) === own) this.byId.delete(session);
      });
    }
    await known;
  }
}
