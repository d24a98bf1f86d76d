// doors.ts: where sub-agents may be started now, and word of each that is gone.
//
// A request on its way to a process that is killed may never be told so: Node 20's fetch (undici 6.24) leaves one waiting for ever
// whose connection was closed just before it was to be written.

export class Doors {
  private readonly open = new Map<string, AbortController>();

  get now(): readonly string[] {
    return [...this.open.keys()];
  }

  /** Aborts when it is gone; it is already where nobody knows the door. */
  gone(door: string): AbortSignal {
    return this.open.get(door)?.signal ?? AbortSignal.abort(new Error(`${door} is gone`));
  }

  set(doors: readonly string[]): void {
    for (const [door, controller] of this.open) {
      if (doors.includes(door)) continue;
      this.open.delete(door);
      controller.abort(new Error(`${door} is gone`));
    }
    for (const door of doors) if (!this.open.has(door)) this.open.set(door, new AbortController());
  }
}
