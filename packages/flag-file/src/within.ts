// within.ts: a bound on waiting for a disk, since a dead network mount never answers.

/** Settles with the work, or with nothing when the time is up: the work goes on, and health says how far it is. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const up = new Promise<void>((resolveUp) => {
    timer = setTimeout(resolveUp, ms);
  });
  try {
    await Promise.race([work, up]);
  } finally {
    clearTimeout(timer);
    // A rejection after the time was up has nobody to hear it.
    work.catch(() => {});
  }
}
