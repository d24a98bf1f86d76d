// steps.ts: a walk over all that was ever written down, which can be made at once, or so that others have their turn in between.
//
// Somebody who waits with a limit needs the latter: no timer runs out while a walk holds the event loop.

/** What is between two steps is not cut. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** Awaited in between: it lets the others on, and ends the walk by throwing. */
export type Breathe = () => Promise<void>;

/** Between two breaths. A few milliseconds: a line of a journal takes 15 us. */
const stepsPerBreath = 200;

export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Without `breathe`: at once. */
export async function inSteps<T>(steps: Steps<T>, breathe: Breathe | undefined): Promise<T> {
  if (breathe === undefined) return atOnce(steps);
  for (let n = 1; ; n++) {
    const step = steps.next();
    if (step.done) return step.value;
    if (n % stepsPerBreath === 0) await breathe();
  }
}
