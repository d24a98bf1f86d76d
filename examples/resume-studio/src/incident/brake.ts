// brake.ts: injected time. A wait lasts what it should, and then as long as somebody holds it.
//
// The incident flips switches through other processes, which take their time to start. With the brake on, the fleet stands
// still meanwhile: what was in flight stays in flight, and no step depends on how busy the machine is.

import { type Delay, type Occasion, sleep } from '../tools-time.ts';

export interface Brake {
  readonly delay: Delay;
  /** Divides every wait from now on. */
  speed: number;
  /** Holds the waits it matches, those under way too, until the returned function is called. */
  hold(matches: (occasion: Occasion) => boolean): () => void;
  /** The waits that are held, or would be, now. */
  held(): readonly Occasion[];
}

export function makeBrake(speed: number): Brake {
  const holds = new Set<(occasion: Occasion) => boolean>();
  const waiting = new Map<Occasion, () => void>();
  const isHeld = (occasion: Occasion): boolean => [...holds].some((matches) => matches(occasion));
  const brake: Brake = {
    speed,
    async delay(ms, signal, occasion) {
      await sleep(ms / brake.speed, signal);
      if (occasion === undefined) return;
      while (isHeld(occasion)) {
        await new Promise<void>((resolve, reject) => {
          const leave = (): void => {
            signal?.removeEventListener('abort', onAbort);
            waiting.delete(occasion);
          };
          const onAbort = (): void => {
            leave();
            reject(signal?.reason);
          };
          waiting.set(occasion, () => {
            leave();
            resolve();
          });
          if (signal?.aborted) onAbort();
          else signal?.addEventListener('abort', onAbort, { once: true });
        });
      }
    },
    hold(matches) {
      holds.add(matches);
      return () => {
        holds.delete(matches);
        for (const look of [...waiting.values()]) look();
      };
    },
    held: () => [...waiting.keys()].filter(isHeld),
  };
  return brake;
}
