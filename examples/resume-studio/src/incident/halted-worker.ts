// halted-worker.ts: a process that runs sub-agents is halted before a stop and killed before it has confirmed it. The stop is not
// called fenced meanwhile, and is true all the same.

import type { Receipt } from 'offswitch';
import type { PlacedSession, Scene } from './scene.ts';

export interface HaltedWorker {
  readonly victim: PlacedSession;
  /** What it runs. */
  readonly lost: readonly PlacedSession[];
  /** Epoch milliseconds. */
  readonly at: number;
}

/** Renewed every third of it (redis, lease.ts), so that so much of a lease is left at least when its process is halted. */
const leaseLeft = 2 / 3;

/** Halts the process of one of these sessions, `undefined` where all of them are with the first. The fleet stands still. */
export function haltWorkerOf(scene: Scene, sessions: readonly PlacedSession[]): HaltedWorker | undefined {
  const victim = sessions.find(({ pid }) => pid !== scene.fleet.pid);
  if (!victim) return undefined;
  process.kill(victim.pid, 'SIGSTOP');
  scene.halted = victim.process;
  return { victim, lost: sessions.filter((view) => view.process === victim.process), at: Date.now() };
}

/** Runs `flip`, and kills the halted one as soon as the others know of the stop; `isIt` says which. Leaves no process halted. */
export async function killWhileStopping<T>(
  scene: Scene,
  { victim, at }: HaltedWorker,
  flip: () => Promise<T>,
  isIt: (receipt: Receipt) => boolean,
): Promise<T> {
  const flipping = flip();
  // It is waited for below, and a fault of what comes first is told first.
  flipping.catch(() => undefined);
  try {
    const { stages } = await scene.until('the others know of the stop', async () =>
      (await scene.receipts()).find((receipt) => receipt.released === undefined && isIt(receipt)),
    );
    scene.checks.check(
      'a stop is not called fenced while one process has neither confirmed it nor lost its lease (S10)',
      stages.fenced === undefined || stages.fenced >= at + leaseLeft * scene.state.leaseMs,
      { stages, at },
    );
  } finally {
    // One that is halted ends with nobody.
    process.kill(victim.pid, 'SIGKILL');
    scene.halted = undefined;
  }
  return flipping;
}
